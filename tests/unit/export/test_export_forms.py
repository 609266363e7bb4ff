"""The forms of an export: every file with its hash, the same bytes for the same lock."""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Any, get_args

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL
from packaging.pylock import Pylock
from packaging.requirements import Requirement

from envgen.adopt.requirements import join_lines
from envgen.errors import LockError, UsageError
from envgen.export import Format, LockedContent, export
from envgen.export.conda_explicit import sort_by_need
from envgen.export.conda_lock import CondaPackage, read_conda_lock
from envgen.lock.model import LockedBase
from envgen.lock.packages import Artifact, GitCommit, LockedPackage
from envgen.rendered import is_untouched


def make_file(filename: str) -> Artifact:
    return Artifact(
        filename=filename,
        url=f"https://packages.example/files/{filename}",
        sha256=hashlib.sha256(filename.encode()).hexdigest(),
        size=1000,
    )


def make_content(*packages: LockedPackage, **fields: Any) -> LockedContent:
    given: dict[str, Any] = {
        "project": "demo",
        "image": "serve",
        "python": "3.13",
        "platforms": ("linux/amd64",),
        "index": "",
        "packages": packages,
        "base": LockedBase(
            image="docker.io/library/python:3.13-slim-trixie",
            digest=f"sha256:{'a' * 64}",
            origin="registry",
        ),
        "lock_sha256": "b" * 64,
    }
    return LockedContent(**(given | fields))


NUMPY = LockedPackage(
    name="numpy",
    version="2.3.4",
    wheels=(
        make_file("numpy-2.3.4-cp313-cp313-manylinux_2_27_x86_64.whl"),
        make_file("numpy-2.3.4-cp313-cp313-manylinux_2_27_aarch64.whl"),
    ),
)
PROMISE = LockedPackage(name="promise", version="2.3", source=make_file("promise-2.3.tar.gz"))
UVLOOP = LockedPackage(
    name="uvloop",
    version="0.22.1",
    wheels=(make_file("uvloop-0.22.1-cp313-cp313-manylinux_2_28_x86_64.whl"),),
    marker='platform_machine == "x86_64"',
)
ALL = (NUMPY, PROMISE, UVLOOP)

CONDA_LOCK = """\
version: 1
metadata: {}
package:
- name: numpy
  version: 2.1.0
  manager: conda
  platform: linux-64
  dependencies: {python: '>=3.13', libblas: ''}
  url: https://conda.example/main/linux-64/numpy-2.1.0-py313_0.conda
  hash: {md5: x, sha256: %(a)s}
- name: libblas
  version: 3.9.0
  manager: conda
  platform: linux-64
  dependencies: {}
  url: https://conda.example/main/linux-64/libblas-3.9.0-20_openblas.tar.bz2
  hash: {sha256: %(b)s}
- name: python
  version: 3.13.1
  manager: conda
  platform: linux-64
  dependencies: {tzdata: ''}
  url: https://conda.example/main/linux-64/python-3.13.1-h1_0_cpython.conda
  hash: {sha256: %(c)s}
- name: tzdata
  version: 2025a
  manager: conda
  platform: linux-64
  dependencies: {}
  url: https://conda.example/main/noarch/tzdata-2025a-h0.conda
  hash: {sha256: %(d)s}
- name: rich
  version: '14.0'
  manager: pip
  platform: linux-64
  dependencies: {}
  url: https://packages.example/files/rich-14.0-py3-none-any.whl
  hash: {sha256: %(e)s}
- name: numpy
  version: 2.1.0
  manager: conda
  platform: linux-aarch64
  dependencies: {}
  url: https://conda.example/main/linux-aarch64/numpy-2.1.0-py313_0.conda
  hash: {sha256: %(f)s}
""" % {letter: letter * 64 for letter in "abcdef"}  # fmt: skip


def requirement_lines(content: LockedContent) -> list[str]:
    text = export("requirements.txt", content).decode()
    return [" ".join(line.split()) for _, line in join_lines(text)]


def bill(content: LockedContent) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(export("cyclonedx", content))
    return document


class TestRequirements:
    def test_every_file_of_a_package_has_its_hash(self) -> None:
        (line,) = requirement_lines(make_content(NUMPY))
        requirement, *hashes = line.split(" --hash=")
        assert requirement == "numpy==2.3.4"
        assert hashes == sorted(f"sha256:{wheel.sha256}" for wheel in NUMPY.wheels)

    def test_a_source_archive_has_its_hash(self) -> None:
        (line,) = requirement_lines(make_content(PROMISE))
        assert PROMISE.source
        assert line == f"promise==2.3 --hash=sha256:{PROMISE.source.sha256}"

    def test_a_marker_stands_before_the_hashes(self) -> None:
        (line,) = requirement_lines(make_content(UVLOOP))
        requirement = Requirement(line.partition(" --hash")[0])
        assert str(requirement.marker) == UVLOOP.marker

    def test_pypi_needs_no_index(self) -> None:
        assert not any(line.startswith("--") for line in requirement_lines(make_content(NUMPY)))

    def test_the_index_of_the_spec_is_named(self) -> None:
        content = make_content(NUMPY, index="https://packages.example/simple")
        assert requirement_lines(content)[0] == "--index-url https://packages.example/simple"

    def test_a_file_without_hash_is_refused(self) -> None:
        damaged = LockedPackage(
            name="numpy", version="1", wheels=(Artifact(filename="n.whl", url="", sha256=""),)
        )
        with pytest.raises(LockError, match="no SHA-256"):
            export("requirements.txt", make_content(damaged))

    def test_a_package_without_files_is_refused(self) -> None:
        with pytest.raises(LockError, match="no file"):
            export("requirements.txt", make_content(LockedPackage(name="numpy", version="1")))


class TestPylock:
    def test_it_is_valid_and_holds_what_was_locked(self) -> None:
        text = export("pylock.toml", make_content(*ALL)).decode()
        read = Pylock.from_dict(tomllib.loads(text))
        assert [(package.name, str(package.version)) for package in read.packages] == [
            (package.name, package.version) for package in ALL
        ]
        hashes = [wheel.hashes["sha256"] for wheel in read.packages[0].wheels or ()]
        assert hashes == [wheel.sha256 for wheel in NUMPY.wheels]

    def test_it_is_for_the_images_python_alone(self) -> None:
        text = export("pylock.toml", make_content(NUMPY)).decode()
        assert tomllib.loads(text)["requires-python"] == "==3.13.*"


class TestCycloneDX:
    def test_it_is_valid(self) -> None:
        for content in (make_content(*ALL), make_content(*ALL, conda_lock=CONDA_LOCK)):
            text = export("cyclonedx", content).decode()
            assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None

    def test_packages_have_urls_and_hashes(self) -> None:
        component = next(c for c in bill(make_content(NUMPY))["components"] if c["name"] == "numpy")
        assert component["purl"] == str(PackageURL("pypi", None, "numpy", "2.3.4"))
        found = [r["hashes"][0]["content"] for r in component["externalReferences"]]
        assert found == [wheel.sha256 for wheel in NUMPY.wheels]

    def test_the_base_image_is_a_component(self) -> None:
        component = next(c for c in bill(make_content())["components"] if c["type"] == "container")
        purl = PackageURL.from_string(component["purl"])
        assert (purl.type, purl.name, purl.version) == ("oci", "python", f"sha256:{'a' * 64}")
        assert purl.qualifiers == {
            "repository_url": "docker.io/library/python",
            "tag": "3.13-slim-trixie",
        }

    def test_conda_packages_say_build_and_channel(self) -> None:
        components = bill(make_content(conda_lock=CONDA_LOCK))["components"]
        purls = [PackageURL.from_string(c["purl"]) for c in components if "conda" in c["purl"]]
        tzdata = next(purl for purl in purls if purl.name == "tzdata")
        assert tzdata.version == "2025a"
        assert tzdata.qualifiers == {
            "build": "h0",
            "channel": "main",
            "subdir": "noarch",
            "type": "conda",
        }
        assert len(purls) == 5

    def test_another_lock_has_another_serial_number(self) -> None:
        first, second = bill(make_content(NUMPY)), bill(make_content(PROMISE))
        assert first["serialNumber"] != second["serialNumber"]

    def test_local_versions_are_encoded(self) -> None:
        wheel = make_file("torch-2.9.0+cu128-cp313-cp313-linux_x86_64.whl")
        content = make_content(LockedPackage(name="torch", version="2.9.0+cu128", wheels=(wheel,)))
        component = next(c for c in bill(content)["components"] if c["name"] == "torch")
        assert PackageURL.from_string(component["purl"]).version == "2.9.0+cu128"


class TestCondaExplicit:
    def test_what_is_needed_comes_first_and_has_its_hash(self) -> None:
        text = export("conda-explicit", make_content(conda_lock=CONDA_LOCK)).decode()
        lines = text.splitlines()
        start = lines.index("@EXPLICIT")
        names = [line.rpartition("/")[2].split("-")[0] for line in lines[start + 1 : start + 5]]
        assert names == ["libblas", "tzdata", "python", "numpy"]
        assert lines[start + 1].endswith(f"#{'b' * 64}")
        assert "# platform: linux-64" in lines

    def test_packages_of_pypi_are_comments_as_conda_lock_writes_them(self) -> None:
        text = export("conda-explicit", make_content(conda_lock=CONDA_LOCK)).decode()
        assert text.splitlines()[-1] == (
            "# pip rich @ https://packages.example/files/rich-14.0-py3-none-any.whl"
            f" --hash=sha256:{'e' * 64}"
        )

    def test_other_lockers_are_refused(self) -> None:
        with pytest.raises(LockError, match="serve has no conda packages"):
            export("conda-explicit", make_content(NUMPY))

    def test_several_platforms_are_refused(self) -> None:
        content = make_content(conda_lock=CONDA_LOCK, platforms=("linux/amd64", "linux/arm64"))
        with pytest.raises(UsageError, match="for one platform"):
            export("conda-explicit", content)

    def test_the_other_platform_has_its_own_packages(self) -> None:
        content = make_content(conda_lock=CONDA_LOCK, platforms=("linux/arm64",))
        assert (
            f"linux-aarch64/numpy-2.1.0-py313_0.conda#{'f' * 64}"
            in export("conda-explicit", content).decode()
        )

    @pytest.mark.parametrize("form", ["requirements.txt", "pylock.toml"])
    def test_forms_of_pip_refuse_conda_packages(self, form: Format) -> None:
        with pytest.raises(LockError, match="serve has conda packages"):
            export(form, make_content(conda_lock=CONDA_LOCK))

    @given(
        st.dictionaries(
            st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefghz")), min_size=1
        )
    )
    def test_every_package_is_listed_once_after_what_it_needs(
        self, needs: dict[str, set[str]]
    ) -> None:
        order = [p.name for p in sort_by_need(conda_package(n, needs[n]) for n in needs)]
        assert sorted(order) == sorted(needs)
        circles = any(need in reachable(needs, need, set()) for need in needs)
        for name, wanted in needs.items():
            for need in wanted & needs.keys() - {name}:
                assert circles or order.index(need) < order.index(name)


def conda_package(name: str, needs: set[str]) -> CondaPackage:
    row = {
        "name": name,
        "version": "1",
        "manager": "conda",
        "platform": "linux-64",
        "url": f"https://conda.example/main/noarch/{name}-1-0.conda",
        "hash": {"sha256": "a" * 64},
        "dependencies": dict.fromkeys(needs, ""),
    }
    (package,) = read_conda_lock(json.dumps({"version": 1, "package": [row]}))
    return package


def reachable(needs: dict[str, set[str]], start: str, seen: set[str]) -> set[str]:
    for need in needs.get(start, set()) - seen:
        seen.add(need)
        reachable(needs, need, seen)
    return seen


class TestCondaLock:
    @pytest.mark.parametrize(
        "text",
        [
            "- a list",
            "version: 1",
            "version: 2\npackage: []",
            "a: [",
            CONDA_LOCK.replace("a" * 64, "short"),
            CONDA_LOCK.replace("md5: x, sha256", "md5"),
        ],
    )
    def test_what_is_not_a_lock_with_hashes_is_refused(self, text: str) -> None:
        with pytest.raises(LockError):
            read_conda_lock(text)


@pytest.mark.parametrize("form", get_args(Format))
def test_the_same_lock_gives_the_same_bytes(form: Format) -> None:
    content = make_content(*ALL, conda_lock=CONDA_LOCK if "conda" in form else "")
    assert export(form, content) == export(form, content)


@pytest.mark.parametrize("form", ["requirements.txt", "pylock.toml", "conda-explicit"])
def test_an_export_is_sealed(form: Format) -> None:
    exported = export(form, make_content(*ALL, conda_lock=CONDA_LOCK if "conda" in form else ""))
    assert is_untouched(exported)
    assert not is_untouched(exported + b"# mine\n")


TOOLS = LockedPackage(
    name="acme-tools",
    version="1.0",
    git=GitCommit(url="https://git.example/acme/tools", commit="c0ffee" * 6 + "c0de", ref="v1"),
)


class TestGit:
    """A package that is pinned by a commit and has no hash."""

    def test_form_that_wants_hashes_has_no_place_for_it(self) -> None:
        with pytest.raises(LockError, match="comes from a repository and has no hash"):
            export("requirements.txt", make_content(TOOLS))

    def test_pylock_holds_the_commit(self) -> None:
        (package,) = tomllib.loads(export("pylock.toml", make_content(TOOLS)).decode())["packages"]

        assert package["vcs"]["commit-id"] == TOOLS.git.commit  # type: ignore[union-attr]

    @pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
    def test_bill_of_materials_names_the_commit(self, form: Format) -> None:
        text = export(form, make_content(TOOLS)).decode()

        assert f"tools%40{TOOLS.git.commit}" in text  # type: ignore[union-attr]


def test_index_of_a_package_is_named() -> None:
    text = export("requirements.txt", make_content(NUMPY, indexes=("https://acme.example/s",)))

    assert "\n--extra-index-url https://acme.example/s\n" in text.decode()
