"""Each decision of a plan, branch by branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envgen.errors import LockError
from envgen.lock.model import LockedLayer
from envgen.plan.decisions import describe_layer
from envgen.plan.image import make_plan
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lock.model import Lock
    from envgen.plan.model import ImagePlan
    from envgen.spec.model import Spec

PYTHON = "docker.io/library/python:3.13-slim-trixie"


@pytest.fixture
def plan(make_lock: Callable[[Spec], Lock]) -> Callable[..., ImagePlan]:
    """Return a function from an image's table to its plan."""

    def make(network: dict[str, Any] | None = None, **image: Any) -> ImagePlan:
        spec = make_spec(network, **image)
        return make_plan(spec, make_lock(spec), spec_file="envgen.toml").images[0]

    return make


def make_spec(network: dict[str, Any] | None = None, **image: Any) -> Spec:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {"serve": image},
        "network": network or {},
    }
    return parse_spec(document, file="envgen.toml")


def decision(image: ImagePlan, about: str) -> str:
    (found,) = (entry for entry in image.decisions if entry.about == about)
    assert found.reason
    return found.choice


class TestBase:
    @pytest.mark.parametrize("base", ["auto", "slim"])
    def test_official_python_is_base_and_builder(
        self, plan: Callable[..., ImagePlan], base: str
    ) -> None:
        image = plan(base=base)

        assert image.base == image.builder
        assert image.base.official_python
        assert image.base.reference.startswith(f"{PYTHON}@sha256:")
        assert decision(image, "base") == PYTHON

    def test_own_base_is_built_with_the_official_python(
        self, plan: Callable[..., ImagePlan]
    ) -> None:
        image = plan(base="registry.example/team/gpu:1")

        assert image.base.name == "registry.example/team/gpu:1"
        assert not image.base.official_python
        assert image.builder.name == PYTHON

    def test_short_name_is_written_in_full(self, plan: Callable[..., ImagePlan]) -> None:
        image = plan(base="ubuntu:24.04", **{"python-from": "base"})

        assert image.base.name == "docker.io/library/ubuntu:24.04"

    def test_digest_of_the_spec_is_kept(self, plan: Callable[..., ImagePlan]) -> None:
        digest = "sha256:" + "a" * 64

        image = plan(base=f"ubuntu@{digest}")

        assert image.base.reference == f"docker.io/library/ubuntu@{digest}"
        assert decision(image, "digest") == digest

    def test_mirror_is_pulled_from_and_not_named_in_labels(
        self, plan: Callable[..., ImagePlan]
    ) -> None:
        image = plan({"registry-mirrors": {"docker.io": "mirror.example:5000/hub"}})

        assert image.base.reference.startswith("mirror.example:5000/hub/library/python:")
        assert dict(image.labels)["org.opencontainers.image.base.name"] == PYTHON

    def test_mirror_of_another_registry_does_not_matter(
        self, plan: Callable[..., ImagePlan]
    ) -> None:
        image = plan({"registry-mirrors": {"ghcr.io": "mirror.example"}})

        assert image.base.reference.startswith("docker.io/")


class TestSelfTest:
    @pytest.mark.parametrize("determinism", ["strict", "warn"])
    def test_it_is_the_health_check(self, plan: Callable[..., ImagePlan], determinism: str) -> None:
        image = plan(determinism=determinism)

        (check,) = image.health
        assert check.command[-1] == "probe"
        assert dict(image.env)["ENVGEN_SELFTEST"] == determinism
        assert decision(image, "self-test") == determinism

    def test_off_leaves_all_of_it_out(self, plan: Callable[..., ImagePlan]) -> None:
        image = plan(determinism="off")

        assert image.health == ()
        assert not any("ENVGEN" in name or name == "PYTHONPATH" for name, _ in image.env)

    def test_it_connects_to_the_port(self, plan: Callable[..., ImagePlan]) -> None:
        image = plan(port=8000)

        assert image.ports == (8000,)
        assert image.health[0].command[-2:] == ("--port", "8000")


def test_environment_of_the_spec_wins(plan: Callable[..., ImagePlan]) -> None:
    env = plan(env={"PYTHONUNBUFFERED": "", "A": "1"}).env

    assert dict(env)["PYTHONUNBUFFERED"] == ""
    assert env[-1] == ("A", "1")


def test_labels_are_sorted(plan: Callable[..., ImagePlan]) -> None:
    labels = plan().labels

    assert list(labels) == sorted(labels)


@pytest.mark.parametrize(
    ("network", "allowed", "options"),
    [
        ({}, [], ("--no-build",)),
        ({"index": "https://packages.example/simple"}, [], ("--no-build",)),
        ({}, ["demo"], ()),
        (
            {"index": "https://packages.example/simple"},
            ["demo"],
            ("--default-index=https://packages.example/simple",),
        ),
    ],
)
def test_builds_from_source_only_where_allowed(
    plan: Callable[..., ImagePlan],
    network: dict[str, str],
    allowed: list[str],
    options: tuple[str, ...],
) -> None:
    assert plan(network, **{"allow-source": allowed}).build_options == options


def test_platforms_of_the_image_win_and_count_once(plan: Callable[..., ImagePlan]) -> None:
    image = plan(platforms=["linux/arm64", "linux/arm64", "linux/amd64"])

    assert image.platforms == ("linux/arm64", "linux/amd64")
    assert image.uv_requirement.count("--hash=sha256:") == 2


def test_lock_without_the_base_is_told(make_lock: Callable[[Spec], Lock]) -> None:
    spec = make_spec()
    lock = msgspec.structs.replace(make_lock(spec), bases=())

    with pytest.raises(LockError, match="does not hold docker"):
        make_plan(spec, lock, spec_file="envgen.toml")


def test_lock_without_uv_is_told(make_lock: Callable[[Spec], Lock]) -> None:
    spec = make_spec()
    lock = msgspec.structs.replace(make_lock(spec), tools=())

    with pytest.raises(LockError, match="does not hold a uv for linux/amd64"):
        make_plan(spec, lock, spec_file="envgen.toml")


@pytest.mark.parametrize(
    ("packages", "sizes", "unknown", "words"),
    [
        (1, {"linux/amd64": 1_500_000}, 0, "1 package, 1.5 MB to download"),
        (2, {"linux/amd64": 1_500_000}, 1, "2 packages"),
        (0, {}, 0, "0 packages"),
        (
            3,
            {"linux/amd64": 10**6, "linux/arm64": 2 * 10**6},
            0,
            "3 packages, 1.0 MB on linux/amd64 and 2.0 MB on linux/arm64 to download",
        ),
    ],
)
def test_layer_is_described_in_words(
    packages: int, sizes: dict[str, int], unknown: int, words: str
) -> None:
    layer = LockedLayer(
        name="packages",
        sha256="a" * 64,
        packages=packages,
        download_bytes=sizes,
        unknown_sizes=unknown,
    )

    assert describe_layer(layer) == words
