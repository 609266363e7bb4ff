"""What all tests share: projects that are locked without network, and a guard for unit tests."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import settings

from envgen.lock.model import FORMAT, Lock, LockedBase, LockedImage, LockedLayer, LockedTool
from envgen.lock.packages import Artifact, GitCommit, LockedPackage
from envgen.lock.request import image_platforms
from envgen.lockers import LockRequest, LockResult
from envgen.plan.base import choose_base, official_python
from envgen.rendered import RenderedFile
from envgen.spec.model import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How long an example takes says something about the machine, not about the code.
settings.register_profile("envgen", deadline=None)
settings.load_profile("envgen")

TESTS = Path(__file__).parent
UNIT = TESTS / "unit"
STARTS_PROGRAMS = ("audit", "identity", "registry", "report", "runtime", "test_workflows.py")
"""Below tests/unit: git, an image's own interpreter, openssl and credential helpers, linters."""

MINIMAL = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.13"

[images.serve]
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is rendered into tests/golden/*/ instead of comparing",
    )


@pytest.fixture(autouse=True)
def _closed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no unit test start a program or reach further than this machine's loopback."""
    if UNIT not in request.path.parents:
        return
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _loopback_only(getattr(socket.socket, name)))
    if not any(part in STARTS_PROGRAMS for part in request.path.relative_to(UNIT).parts):
        monkeypatch.setattr(subprocess.Popen, "__init__", _refuse_program)


@pytest.fixture(autouse=True)
def _loud() -> Iterator[None]:
    """Undo what commands of this process do to logging, those of a module's fixtures, too."""
    logger = logging.getLogger("envgen")
    logger.handlers[:], logger.propagate, logger.level = [], True, logging.NOTSET
    yield
    logger.handlers[:], logger.propagate, logger.level = [], True, logging.NOTSET


# pytest.fail raises a BaseException: no `except OSError` of the code under test can swallow it.
def _refuse_program(_: object, argv: object, *__: object, **___: object) -> None:
    pytest.fail(f"a unit test started {argv!r}")


def _loopback_only(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        host = address[0] if isinstance(address, tuple) else ""
        if host and host not in {"localhost", "::1"} and not host.startswith("127."):
            pytest.fail(f"a unit test reached for {address!r}")
        return connect(self, address)

    return guarded


@dataclass(frozen=True)
class Outcome:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Project:
    """A folder with a spec, and envgen run on it in this process."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def write(self, path: str, text: str | bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Return every file with its bytes: what a command that changes nothing leaves equal."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def run(self, command: str, *arguments: str) -> Outcome:
        from envgen.cli import run

        self._capsys.readouterr()
        code = run([command, "-C", str(self.root), *arguments])
        said = self._capsys.readouterr()
        return Outcome(code, said.out, said.err)

    def render_offline(self, *arguments: str) -> Outcome:
        """Lock against an index and a registry that exist in this process only, and render."""
        with pytest.MonkeyPatch.context() as patch:
            go_offline(patch)
            return self.run("render", *arguments)


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """Return a project with the smallest spec and no lock."""
    made = Project(tmp_path / "project", capsys)
    made.write("envgen.toml", MINIMAL)
    return made


@pytest.fixture
def rendered(project: Project) -> Project:
    """Return a project with a lock and all its files."""
    outcome = project.render_offline()
    assert outcome.code == 0, outcome.err
    return project


@pytest.fixture
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer for the index, for uv and for registries."""
    go_offline(monkeypatch)


@pytest.fixture(scope="session")
def make_lock() -> Callable[[Spec], Lock]:
    """Return a function from a spec to a lock that fits it; its files are on no disk."""

    def make(spec: Spec) -> Lock:
        images = {choose_base(spec, image).image for image in spec.images.values()}
        platforms = {platform for name in spec.images for platform in image_platforms(spec, name)}
        return Lock(
            format=FORMAT,
            bases=tuple(pin_base(image) for image in sorted({official_python(spec), *images})),
            tools=(
                LockedTool(
                    name="uv", version="0.0.1", sha256={p: sha256(p) for p in sorted(platforms)}
                ),
            ),
            images={name: _locked_image(spec, name) for name in spec.images},
        )

    return make


def _locked_image(spec: Spec, name: str) -> LockedImage:
    return LockedImage(
        base=choose_base(spec, spec.images[name]).image,
        locker="uv",
        locker_version="0.0.1",
        input_sha256=sha256("input"),
        lock_sha256=sha256("lock"),
        frameworks={"numpy": "2.3.4"},
        layers=(
            LockedLayer(
                name="packages",
                sha256=sha256("packages"),
                packages=3,
                download_bytes=dict.fromkeys(image_platforms(spec, name), 1_000_000),
            ),
        ),
    )


def go_offline(patch: pytest.MonkeyPatch, version: str = "1.0") -> None:
    """Let every package be there in one version, and every base image with a digest of its own."""

    def lock(request: LockRequest, **_: object) -> LockResult:
        return lock_packages(request, version)

    patch.setattr("envgen.lockers.uv.probe_version", lambda: "0.0.1")
    patch.setattr("envgen.lockers.uv.lock", lock)
    patch.setattr("envgen.lockers.pip_program.lock", lock)
    patch.setattr("envgen.lockers.conda_lock.probe_version", lambda: "0.0.1")
    patch.setattr("envgen.lockers.conda_lock.lock", lock_conda)
    patch.setattr("envgen.lock.resolve.pin_base", pin_base)
    patch.setattr("envgen.lock.resolve.read_environment", lambda base, **_: base)
    patch.setattr("envgen.lock.extended.read_shared", read_shared)


def pin_base(image: str, **_others: object) -> LockedBase:
    name, _, digest = image.partition("@")
    return LockedBase(
        image=image,
        digest=digest or f"sha256:{sha256(name)}",
        platforms=("linux/amd64", "linux/arm64"),
        origin="the spec" if digest else "registry",
    )


def read_shared(base: LockedBase, **_others: object) -> LockedBase:
    """Return the base `platform` with what it has; others are not images of envgen."""
    if "/platform" not in base.image:
        return base
    return msgspec.structs.replace(base, python="3.13", packages=("idna==3.7", "numpy==2.0"))


def lock_packages(request: LockRequest, version: str) -> LockResult:
    """Return what a locker gives that finds every package in one version, as one wheel.

    A package that is pinned, or held, has the version that its pin says.
    """
    from packaging.requirements import Requirement

    asked = [Requirement(text) for text in request.requirements]
    found = {one.name.lower(): _pinned_version(str(one.specifier), version) for one in asked}
    held = [Requirement(text) for text in request.constraints]
    found |= {
        one.name: _pinned_version(str(one.specifier), found[one.name])
        for one in held
        if one.name in found
    }
    urls = {one.name.lower(): one.url for one in asked if one.url}
    rows = [
        f'\n[[package]]\nname = "{name}"\nversion = "{found[name]}"\n' for name in sorted(found)
    ]
    return LockResult(
        native=RenderedFile(
            path=f"{request.folder}/uv.lock",
            content="".join(["version = 1\n", *rows]).encode(),
            guarded=False,
        ),
        packages=tuple(
            _package(request, name, found[name], urls.get(name, "")) for name in sorted(found)
        ),
    )


def _pinned_version(specifier: str, otherwise: str) -> str:
    pinned = specifier.startswith("==") and not set(specifier) & set("*,")
    return specifier.removeprefix("==") if pinned else otherwise


def lock_conda(request: LockRequest, **_: object) -> LockResult:
    """Return what conda-lock gives where the channel has one version of everything."""
    from envgen.lockers.conda_lock import NATIVE, match_specs
    from envgen.platforms import SUBDIRS

    packages = []
    for name in sorted(text.split()[0] for text in match_specs(request)):
        archives = {}
        for platform in request.platforms:
            filename = f"{name}-1.0-h1_0.conda"
            url = f"https://conda.example/{SUBDIRS[platform]}/{filename}"
            archives[platform] = Artifact(
                filename=filename, url=url, sha256=sha256(url), size=2_000_000
            )
        packages.append(
            LockedPackage(
                name=name,
                version="1.0",
                conda=name,
                wheels=tuple(archives.values()),
                downloads=archives,
            )
        )
    native = RenderedFile(path=f"{request.folder}/{NATIVE}", content=b"version: 1\n", guarded=False)
    others = lock_packages(request, "1.0").packages
    return LockResult(native=native, packages=(*packages, *others))


def _package(request: LockRequest, name: str, version: str, url: str = "") -> LockedPackage:
    if url:
        place, _, ref = url.removeprefix("git+").rpartition("@")
        commit = GitCommit(url=place, commit="c0ffee" * 6 + "c0de", ref=ref)
        return LockedPackage(name=name, version=version, git=commit)
    filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    wheel = Artifact(
        filename=filename,
        url=f"https://packages.example/{name}/{filename}",
        sha256=sha256(filename),
        size=1_000_000,
    )
    return LockedPackage(
        name=name,
        version=version,
        wheels=(wheel,),
        downloads=dict.fromkeys(request.platforms, wheel),
    )


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
