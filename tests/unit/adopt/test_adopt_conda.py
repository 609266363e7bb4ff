"""environment.yml and conda-lock.yml: as they are for conda-lock, else by PyPI's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envgen.adopt.found import Found
from envgen.adopt.sources import read_source
from envgen.errors import SpecError
from envgen.lockers.conda_names import known_names

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = """\
name: lab
channels: [pytorch, conda-forge, nodefaults]
dependencies:
  - python=3.10   # as the cluster has
  - pytorch>=1.10
  - conda-forge::numpy=1.26
  - pytables ==3.9.2
  - cudatoolkit=11.8
  - our-own-tool
  - scipy=1.11.4=py310h1_0
  - rich <1|>2
  - pip>=23
  - pip:
      - torchsummary
      - -e .
variables:
  OMP_NUM_THREADS: 4
  "bad name": x
prefix: /home/somebody/lab
"""


def read(folder: Path, text: str, locker: str = "", name: str = "environment.yml") -> Found:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_source(path, locker)


def test_conda_lock_gets_the_packages_as_they_are(tmp_path: Path) -> None:
    found = read(tmp_path, ENVIRONMENT)
    assert found.locker == "conda-lock"
    assert found.channels == ("pytorch", "conda-forge")
    assert found.conda == (
        "pytorch>=1.10",
        "conda-forge::numpy=1.26",
        "pytables==3.9.2",
        "cudatoolkit=11.8",
        "our-own-tool",
        "scipy=1.11.4=py310h1_0",
        "rich<1|>2",
    )
    assert found.dependencies == ("torchsummary",)


def test_uv_gets_those_that_have_a_known_name_on_pypi(tmp_path: Path) -> None:
    found = read(tmp_path, ENVIRONMENT, "uv")
    assert found.dependencies == (
        "torch>=1.10",
        "numpy==1.26.*",
        "tables==3.9.2",
        "scipy==1.11.4",
        "torchsummary",
    )
    assert (found.conda, found.channels) == ((), ())


def test_uv_is_told_what_it_does_not_get(tmp_path: Path) -> None:
    listed = {entry.what: entry.why for entry in read(tmp_path, ENVIRONMENT, "uv").left}
    assert list(listed) == [
        "cudatoolkit=11.8",
        "our-own-tool",
        "the build py310h1_0 of scipy",
        "rich <1|>2",
        "pip>=23",
        "-e .",
        "the variable bad name",
        "channels: pytorch, conda-forge, nodefaults",
        "prefix",
    ]
    assert "no Python package" in listed["cudatoolkit=11.8"]
    assert "does not know whether" in listed["our-own-tool"]


def test_name_python_and_variables_are_carried_over(tmp_path: Path) -> None:
    found = read(tmp_path, ENVIRONMENT)
    assert (found.name, found.python) == ("lab", "==3.10.*")
    assert found.env == {"OMP_NUM_THREADS": "4"}


def test_versions_are_read_as_they_are_written(tmp_path: Path) -> None:
    assert read(tmp_path, "dependencies: [python=3.10]").python == "==3.10.*"


def test_channels_that_no_file_names_are_told(tmp_path: Path) -> None:
    assert [e.what for e in read(tmp_path, "dependencies: [numpy]").left] == [
        "conda's default channels"
    ]


@pytest.mark.parametrize("text", ["a: [", "- a", "plain", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError):
        read(tmp_path, text)


def test_the_table_of_names_gives_no_name_twice_to_one_package() -> None:
    assert known_names()["pytorch"] == "torch"
    assert known_names()["cudatoolkit"] == ""
    assert not any(name.startswith("faiss") for name in known_names())


LOCK = """\
version: 1
metadata: {}
package:
- {name: python, version: 3.11.4, manager: conda, platform: linux-64, dependencies: {openssl: ''},
   url: https://conda.example/conda-forge/linux-64/python-3.11.4-h_0.conda, hash: {sha256: SHA}}
- {name: openssl, version: 1.1.1w, manager: conda, platform: linux-64, dependencies: {},
   url: https://conda.example/conda-forge/linux-64/openssl-1.1.1w-h_0.conda, hash: {sha256: SHA}}
- {name: pytorch, version: 2.1.0, manager: conda, platform: linux-64, dependencies: {numpy: ''},
   url: https://conda.example/pytorch/linux-64/pytorch-2.1.0-h_0.conda, hash: {sha256: SHA}}
- {name: numpy, version: 1.26.4, manager: conda, platform: linux-64, dependencies: {},
   url: https://conda.example/conda-forge/linux-64/numpy-1.26.4-h_0.conda, hash: {sha256: SHA}}
- {name: rich, version: 13.7.0, manager: pip, platform: linux-64, dependencies: {},
   url: https://packages.example/rich-13.7.0-py3-none-any.whl, hash: {sha256: SHA}}
- {name: pytorch, version: 2.0.0, manager: conda, platform: osx-arm64, dependencies: {},
   url: https://conda.example/pytorch/osx-arm64/pytorch-2.0.0-h_0.conda, hash: {sha256: SHA}}
""".replace("SHA", "a" * 64)


def test_conda_lock_keeps_its_lock(tmp_path: Path) -> None:
    found = read(tmp_path, LOCK, name="conda-lock.yml")
    assert (found.locker, found.native, found.lock) == (
        "conda-lock",
        "conda-lock.yml",
        LOCK.encode(),
    )
    assert found.conda == ("pytorch==2.1.0",)
    assert found.dependencies == ("rich==13.7.0",)
    assert found.python == "==3.11.4"
    assert found.channels == ("conda-forge", "pytorch")


def test_uv_gets_every_version_of_the_lock(tmp_path: Path) -> None:
    found = read(tmp_path, LOCK, "uv", "conda-lock.yml")
    assert found.dependencies == ("torch==2.1.0", "rich==13.7.0")
    assert found.pins == ("numpy==1.26.4",)
    assert [entry.what for entry in found.left] == [
        "openssl=1.1.1w",
        "conda's builds and their hashes",
    ]


def test_channels_of_a_lock_are_taken_with_their_addresses(tmp_path: Path) -> None:
    channels = "{channels: [{url: https://conda.example/ours}, {url: conda-forge}]}"
    found = read(
        tmp_path, LOCK.replace("metadata: {}", f"metadata: {channels}"), name="conda-lock.yml"
    )

    assert found.channels == ("https://conda.example/ours", "conda-forge")


def test_lock_beside_an_environment_is_kept(tmp_path: Path) -> None:
    (tmp_path / "conda-lock.yml").write_text(LOCK)

    kept, other = read(tmp_path, ENVIRONMENT), read(tmp_path, ENVIRONMENT, "uv")

    assert (kept.lock, kept.native) == (LOCK.encode(), "conda-lock.yml")
    assert other.lock == b""


def test_lock_of_any_name_is_put_where_conda_lock_looks_for_it(tmp_path: Path) -> None:
    assert read(tmp_path, LOCK, name="gpu.conda-lock.yml").native == "conda-lock.yml"
