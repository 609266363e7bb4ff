"""Images on an image of envgen: what its labels say, what is kept, and what drifts."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import MINIMAL

from envgen.errors import LockError, NetworkError
from envgen.lock import extended
from envgen.lock.model import LockedBase
from envgen.lock.packages import Artifact, LockedPackage
from envgen.registry.client import FetchedImage

if TYPE_CHECKING:
    from tests.conftest import Project

DIGEST = f"sha256:{'1' * 64}"
OTHER = f"sha256:{'2' * 64}"
LABELS = {
    "org.envgen.lock": "sha256:0",
    "org.envgen.packages": "idna==3.7 torch==2.9.0+cu128",
    "org.envgen.python": "3.13",
}
BASE = f'base = "registry.example/platform@{DIGEST}"\n'


class Registry:
    """Stands in for the base's registry."""

    def __init__(self) -> None:
        self.labels: dict[str, str] | None = dict(LABELS)
        self.digest = DIGEST
        self.answers = True

    def fetch_config(self, *_: object, **__: object) -> dict[str, Any]:
        if not self.answers:
            raise NetworkError.single("registry.example does not answer")
        return {"config": {"Labels": self.labels}}

    def fetch_digest(self, *_: object, **__: object) -> FetchedImage:
        return FetchedImage(digest=self.digest, media_type="", platforms=())


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()
    monkeypatch.setattr(extended, "fetch_config", made.fetch_config)
    monkeypatch.setattr(extended, "fetch_digest", made.fetch_digest)
    return made


def read(image: str = f"registry.example/platform:1@{DIGEST}") -> LockedBase:
    base = LockedBase(image=image, digest=DIGEST, origin="the spec")
    return extended.read_shared(base, mirrors={}, ca_certificates=None)


def package(name: str, version: str, *platforms: str) -> LockedPackage:
    wheel = Artifact(filename="x.whl", url="", sha256="0" * 64, size=1)
    return LockedPackage(
        name=name, version=version, wheels=(wheel,), downloads=dict.fromkeys(platforms, wheel)
    )


@pytest.mark.usefixtures("registry")
def test_labels_say_what_the_base_has() -> None:
    found = read()

    assert found.python == "3.13"
    assert found.packages == ("idna==3.7", "torch==2.9.0+cu128")
    assert found.newest == ""


def test_image_of_somebody_else_is_left_as_it_is(registry: Registry) -> None:
    registry.labels = None

    assert read().python == ""


@pytest.mark.parametrize("lost", ["org.envgen.packages", "org.envgen.python"])
def test_image_of_envgen_that_does_not_say_what_it_has_is_refused(
    registry: Registry, lost: str
) -> None:
    registry.labels = {key: value for key, value in LABELS.items() if key != lost}

    with pytest.raises(LockError, match="shared = true"):
        read()


@pytest.mark.parametrize("text", ["idna", "idna>=3", "--index-url=x", "a==1 b", "a==1;b"])
def test_damaged_label_is_refused(registry: Registry, text: str) -> None:
    registry.labels = {**LABELS, "org.envgen.packages": text}

    with pytest.raises(LockError, match="damaged label"):
        read()


def test_tag_that_means_another_image_by_now_is_recorded_and_told(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.digest = OTHER

    assert read().newest == OTHER
    assert OTHER in caplog.text


def test_base_whose_registry_is_silent_stays_with_a_warning(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.answers = False

    assert read().python == ""
    assert "does not answer" in caplog.text


def test_drift_is_what_would_have_another_version() -> None:
    held = [package("idna", "3.7"), package("six", "1"), package("torch", "2")]
    free = [package("idna", "3.10"), package("six", "2"), package("torch", "2")]

    assert extended.find_drift(held, free, ["idna==3.7", "torch==2"]) == {"idna": "3.10"}


def test_package_of_some_platforms_cannot_be_shared() -> None:
    both = ("linux/amd64", "linux/arm64")
    found = [package("a", "1", *both), package("b", "1", "linux/amd64")]

    with pytest.raises(LockError, match="b would be on some of its platforms only"):
        extended.list_shared("base", found, both, None)


def test_what_the_base_has_is_not_installed_again(project: Project) -> None:
    project.write("envgen.toml", f'{MINIMAL}{BASE}dependencies = ["numpy", "six"]\n')

    outcome = project.render_offline()

    assert outcome.code == 0, outcome.err
    assert 'version = "2.0"' in project.read("environments/serve/pylock.base.toml")
    assert 'name = "numpy"' not in project.read("environments/serve/pylock.packages.toml")
    label = 'LABEL org.envgen.packages="idna==3.7 numpy==2.0 six==1.0"'
    assert label in project.read("environments/serve/Dockerfile")
    lock = tomllib.loads(project.read("envgen.lock"))
    assert lock["images"]["serve"]["drift"] == {"numpy": "1.0"}
    assert project.run("render", "--check").code == 0


def test_sharing_an_image_later_locks_it_again(project: Project) -> None:
    project.write("envgen.toml", f'{MINIMAL}dependencies = ["numpy"]\n')
    assert project.render_offline().code == 0
    project.write("envgen.toml", f'{MINIMAL}dependencies = ["numpy"]\nshared = true\n')

    assert project.run("render", "--check").code == 1
    assert project.render_offline().code == 0
    assert 'org.envgen.packages="numpy==1.0"' in project.read("environments/serve/Dockerfile")


@pytest.mark.parametrize(
    ("image", "word"),
    [
        ('shared = true\nlocker = "conda-lock"\n', "images.serve.shared: is not for conda-lock"),
        ('shared = true\ninstall = ["lib"]\n', "images.serve.shared: is not for images with own"),
        (f'{BASE}locker = "poetry"\n', "images.serve.locker: poetry cannot extend"),
    ],
)
def test_what_cannot_be_shared_or_extended_is_refused(
    project: Project, image: str, word: str
) -> None:
    project.write("envgen.toml", f"{MINIMAL}{image}")
    project.write(
        "lib/pyproject.toml",
        '[project]\nname = "lib"\nversion = "1"\n[build-system]\nrequires = ["hatchling"]\n'
        'build-backend = "hatchling.build"\n',
    )

    outcome = project.render_offline()

    assert word in outcome.err
