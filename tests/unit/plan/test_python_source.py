"""Where the Python of an own base comes from: glibc decides, before anything is built."""

from __future__ import annotations

import msgspec
import pytest

from envgen.errors import SpecError
from envgen.plan.base import choose_python, find_distro
from envgen.spec.model import Image, Project, Spec


def choose(**image: str) -> str:
    described = msgspec.convert(image, Image)
    project = Project(name="demo", python="3.13")
    spec = Spec(format=1, epoch="2026.11", project=project, images={"serve": described})
    return choose_python(spec, spec.images["serve"])


@pytest.mark.parametrize(
    ("base", "source"),
    [
        ("debian:trixie-slim", "docker.io/library/python:3.13-slim-trixie"),
        ("debian:bookworm", "docker.io/library/python:3.13-slim-bookworm"),
        ("ubuntu:24.04", "docker.io/library/python:3.13-slim-bookworm"),
        ("nvidia/cuda:13.0.2-runtime-ubuntu24.04", "docker.io/library/python:3.13-slim-bookworm"),
        ("auto", ""),
        ("python:3.13-slim-bookworm", ""),
        ("registry.example/team/base:1", ""),
    ],
)
def test_newest_official_python_that_the_glibc_bears_is_copied(base: str, source: str) -> None:
    assert choose(base=base) == source


def test_conda_brings_its_own_python() -> None:
    assert choose(base="debian:trixie-slim", locker="conda-lock") == ""


def test_base_that_has_one_by_the_spec_keeps_it() -> None:
    assert choose(base="debian:trixie-slim", **{"python-from": "base"}) == ""


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("ubuntu:22.04", "needs glibc 2.36, and the base has 2.35"),
        ("registry.example/team/base:1", "which glibc it has is not known"),
    ],
)
def test_base_whose_glibc_is_older_or_unknown_is_refused(base: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        choose(base=base, **{"python-from": "official"})

    (problem,) = caught.value.problems
    assert problem.key == "images.serve.base"
    assert said in problem.why
    assert "Ubuntu 24.04" in problem.fix


@pytest.mark.parametrize(
    ("image", "distro"),
    [
        ("docker.io/library/ubuntu:noble", "ubuntu24.04"),
        ("docker.io/library/debian:trixie-20261101-slim@sha256:aa", "trixie"),
        ("docker.io/library/ubuntu@sha256:aa", ""),
        ("registry.example/app:1-bookworm", "bookworm"),
    ],
)
def test_distribution_is_told_by_the_name(image: str, distro: str) -> None:
    assert find_distro(image) == distro
