"""Two locks side by side: what is told of packages, layers, bases and bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from envgen.errors import LockError
from envgen.lock.compare import FactChange, Snapshot, compare_locks
from envgen.lock.model import EMPTY, Lock, LockedBase, LockedGpuCode, LockedImage, LockedLayer
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lock.pylock import render_pylock
from envgen.lock.stored import read_packages
from envgen.lockers.conda_layer import render_layer

BASE = "docker.io/library/python:3.13-slim-trixie"
SHA = "a" * 64


def package(name: str, version: str, *, size: int | None = 1000, build: str = "1") -> LockedPackage:
    wheel = Artifact(
        filename=f"{name}-{version}-{build}-py3-none-any.whl",
        url=f"https://packages.example/{name}.whl",
        sha256=build * 64,
        size=size,
    )
    return LockedPackage(name=name, version=version, wheels=(wheel,))


def snapshot(*packages: LockedPackage, image: str = "serve", **fields: Any) -> Snapshot:
    text = render_pylock(packages, "3.13")
    given: dict[str, Any] = {
        "base": BASE,
        "locker": "uv",
        "locker_version": "1.0",
        "input_sha256": SHA,
        "lock_sha256": SHA,
        "frameworks": {},
        "layers": (
            LockedLayer(
                name="packages",
                sha256=hashlib.sha256(text.encode()).hexdigest(),
                packages=len(packages),
                download_bytes={"linux/amd64": sum(p.wheels[0].size or 0 for p in packages)},
            ),
        ),
    }
    digest = fields.pop("digest", "b" * 64)
    lock = msgspec.structs.replace(
        EMPTY,
        bases=(LockedBase(image=BASE, digest=f"sha256:{digest}", origin="registry"),),
        images={image: LockedImage(**(given | fields))},
    )
    files = {f"environments/{image}/pylock.packages.toml": text.encode()}
    return Snapshot(lock=lock, read=files.get)


NOTHING = Snapshot(lock=EMPTY, read=lambda _: None)


def test_the_same_lock_differs_in_nothing() -> None:
    assert compare_locks(snapshot(package("a", "1")), snapshot(package("a", "1"))) == ()


def test_packages_come_go_and_change() -> None:
    before = snapshot(package("a", "1"), package("b", "1"), package("same", "1"))
    after = snapshot(package("b", "2", size=3000), package("c", "1"), package("same", "1"))
    (found,) = compare_locks(before, after)
    assert [(c.name, c.old, c.new) for c in found.packages] == [
        ("a", "1", ""),
        ("b", "1", "2"),
        ("c", "", "1"),
    ]
    assert (found.packages[1].old_bytes, found.packages[1].new_bytes) == (1000, 3000)
    assert found.state == "changed"


def test_other_files_of_the_same_version_are_told() -> None:
    (found,) = compare_locks(snapshot(package("a", "1")), snapshot(package("a", "1", build="2")))
    assert [(c.name, c.old, c.new) for c in found.packages] == [("a", "1", "1")]


def test_an_unknown_size_stays_unknown() -> None:
    (found,) = compare_locks(NOTHING, snapshot(package("a", "1", size=None)))
    assert found.packages[0].new_bytes is None


def test_a_layer_that_moves_is_weighed() -> None:
    (found,) = compare_locks(snapshot(package("a", "1")), snapshot(package("a", "2", size=5)))
    assert [(m.name, m.download_bytes) for m in found.layers] == [("packages", {"linux/amd64": 5})]
    assert (found.old_bytes, found.new_bytes) == ({"linux/amd64": 1000}, {"linux/amd64": 5})


def test_a_new_base_digest_is_told_without_packages_or_layers() -> None:
    (found,) = compare_locks(
        snapshot(package("a", "1")), snapshot(package("a", "1"), digest="c" * 64)
    )
    assert found.packages == ()
    assert found.layers == ()
    assert found.facts == (
        FactChange(about="base digest", old=f"sha256:{'b' * 64}", new=f"sha256:{'c' * 64}"),
    )


def test_a_cuda_requirement_that_changes_is_told() -> None:
    def with_cuda(release: str) -> Snapshot:
        code = LockedGpuCode(package="torch", version="2.9.0", cuda=release)
        return snapshot(package("torch", "2.9.0"), gpu_code=(code,))

    (found,) = compare_locks(with_cuda("12.6"), with_cuda("12.8"))
    assert [fact.about for fact in found.facts] == ["CUDA"]
    assert found.facts[0].new == "torch 2.9.0 (CUDA 12.8)"


def test_an_image_that_came_or_went_is_told() -> None:
    (came,) = compare_locks(NOTHING, snapshot(package("a", "1")))
    (went,) = compare_locks(snapshot(package("a", "1")), NOTHING)
    assert (came.state, went.state) == ("added", "removed")
    assert [(m.name, m.download_bytes) for m in went.layers] == [("packages", {})]


def lock_with_layer(layer: LockedLayer) -> LockedImage:
    return LockedImage(
        base=BASE,
        locker="conda-lock",
        locker_version="4",
        input_sha256=SHA,
        lock_sha256=SHA,
        frameworks={},
        layers=(layer,),
    )


def test_conda_packages_are_read_with_versions_that_pep_440_does_not_know() -> None:
    archive = Artifact(
        filename="openssl-1.1.1w-h1_0.conda",
        url="https://conda.example/main/linux-64/openssl-1.1.1w-h1_0.conda",
        sha256=SHA,
        size=7,
    )
    openssl = LockedPackage(
        name="openssl",
        version="1.1.1w",
        conda="openssl",
        wheels=(archive,),
        downloads={"linux/amd64": archive},
    )
    text = render_layer([openssl]).encode()
    layer = LockedLayer(name="conda", kind="conda", sha256=SHA, packages=1, download_bytes={})
    (read,) = read_packages("serve", lock_with_layer(layer), lambda _: text)
    assert read == msgspec.structs.replace(openssl, downloads={})


@pytest.mark.parametrize("content", [None, b"\xff", b"a = [", b"packages = 3"])
@pytest.mark.parametrize("kind", ["pylock", "conda"])
def test_a_missing_or_damaged_layer_is_named(content: bytes | None, kind: Any) -> None:
    layer = LockedLayer(name="conda", kind=kind, sha256=SHA, packages=1, download_bytes={})
    with pytest.raises(LockError) as caught:
        read_packages("serve", lock_with_layer(layer), lambda _: content)
    assert caught.value.problems[0].file == f"environments/serve/{layer.file}"


def test_locks_without_images_are_equal() -> None:
    empty = Lock(format=1, bases=(), tools=(), images={})
    assert compare_locks(NOTHING, Snapshot(lock=empty, read=lambda _: None)) == ()
