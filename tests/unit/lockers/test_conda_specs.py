"""MatchSpecs: what is read as one, what is refused, and what is pinned to a build."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.lockers.conda_specs import cuda_builds, is_cpu_build, parse_spec, pin_cuda_build
from envgen.spec.forms import check_conda_channel, check_match_spec


@pytest.mark.parametrize(
    ("text", "version", "build"),
    [
        ("numpy", "", ""),
        ("numpy 2.1.*", "2.1.*", ""),
        ("numpy >=2,<3", ">=2,<3", ""),
        ("numpy>=2,!=2.1.0", ">=2,!=2.1.0", ""),
        ("numpy 1.26|2.1.*", "1.26|2.1.*", ""),
        ("mkl=2024", "2024.*", ""),
        ("mkl=2024.*", "2024.*", ""),
        ("numpy==2.1.0", "==2.1.0", ""),
        ("numpy=2.1.0=py312h1_0", "2.1.0", "py312h1_0"),
        ("numpy==2.1.0=py312h1_0", "==2.1.0", "py312h1_0"),
        ("pytorch * *cuda*", "*", "*cuda*"),
        ("pytorch 2.5.* cuda126_*", "2.5.*", "cuda126_*"),
        ("openssl 1.1.1w", "1.1.1w", ""),
    ],
)
def test_parts_of_a_spec_are_told_apart(text: str, version: str, build: str) -> None:
    spec = parse_spec(text)

    assert spec
    assert (spec.version, spec.build) == (version, build)
    assert parse_spec(str(spec)) == spec


def test_channel_of_a_spec_is_kept() -> None:
    assert str(parse_spec("conda-forge::numpy=2")) == "conda-forge::numpy 2.*"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "numpy garbage",
        "numpy ^2.1",
        "numpy ===2.1",
        "numpy >=2 <3",
        "numpy[version='>=2']",
        "Numpy",
        "numpy >=2,",
        "numpy\n2",
        "numpy # [linux]",
        "numpy 2 py_0 x",
    ],
)
def test_what_conda_would_misread_is_refused(text: str) -> None:
    assert parse_spec(text) is None
    fault = check_match_spec(text)
    assert fault
    assert "not a MatchSpec" in fault.what


@given(st.text())
def test_nothing_that_is_read_can_leave_its_line(text: str) -> None:
    if parse_spec(text):
        assert re.fullmatch(r"[A-Za-z0-9_.:/*,|<>=!~+ -]+", text)


def test_spec_of_python_is_refused() -> None:
    fault = check_match_spec("python=3.12")

    assert fault
    assert "project.python" in fault.why


def test_virtual_package_is_refused() -> None:
    assert check_match_spec("__cuda >=12")


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("pytorch", "pytorch * *cuda*"),
        ("pytorch >=2.5", "pytorch >=2.5 *cuda*"),
        ("pytorch=2.5", "pytorch 2.5.* *cuda*"),
        ("conda-forge::pytorch", "conda-forge::pytorch * *cuda*"),
        ("pytorch * cuda126*", "pytorch * cuda126*"),
        ("numpy>=2", "numpy>=2"),
    ],
)
def test_build_with_cuda_is_pinned_where_there_are_two(text: str, pinned: str) -> None:
    assert pin_cuda_build(text) == pinned


def test_every_variant_can_be_pinned() -> None:
    for package in cuda_builds():
        spec = parse_spec(pin_cuda_build(package))
        assert spec
        assert spec.build == "*cuda*"


@pytest.mark.parametrize(
    ("build", "cpu"),
    [
        ("cpu_mkl_py312h1_0", True),
        ("cpu_py312h1_0", True),
        ("py3.12_cpu_0", True),
        ("cuda126_mkl_py312h1_0", False),
        ("py312h1_0", False),
        ("h1cpu0_0", False),
    ],
)
def test_cpu_builds_are_known_by_their_string(build: str, *, cpu: bool) -> None:
    assert is_cpu_build(build) is cpu


@pytest.mark.parametrize(
    "text", ["conda-forge", "conda-forge/label/dev", "https://conda.example/a", "http://a:8/b"]
)
def test_channels_are_names_and_addresses(text: str) -> None:
    assert check_conda_channel(text) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("https://user:secret@conda.example/a", "login"),
        ("https://conda.example/t/secret/a", "login"),
        ("file:///srv/channel", "not a conda channel"),
        ("conda forge", "not a conda channel"),
        ("https://conda.example/a\nb", "not a conda channel"),
    ],
)
def test_other_channels_are_refused_without_their_secret(text: str, word: str) -> None:
    fault = check_conda_channel(text)

    assert fault
    assert word in fault.what
    assert "secret" not in f"{fault.what}{fault.why}{fault.fix}"
