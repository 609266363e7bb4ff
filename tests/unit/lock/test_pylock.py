"""What an image can install out of a lock, and what it is told about the rest."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from envgen.errors import LockError, Problem
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lock.pylock import read_pylock, render_pylock
from envgen.lockers import LockRequest

HASH = "a" * 64
BOTH = ("linux/amd64", "linux/arm64")


def request(**changes: Any) -> LockRequest:
    given = {"python": "3.13", "platforms": ("linux/amd64",), "requirements": ("demo",)} | changes
    return LockRequest(image="serve", project="p", folder="environments/serve", **given)


def artifact(filename: str, sha256: str = HASH, size: int | None = 10) -> str:
    hashes = f'sha256 = "{sha256}"' if sha256 else 'md5 = "0"'
    url = f"https://packages.example/{filename}"
    length = "" if size is None else f", size = {size}"
    return f'{{ name = "{filename}", url = "{url}"{length}, hashes = {{ {hashes} }} }}'


def pylock(*wheels: str, sdist: str = "", marker: str = "", name: str = "demo") -> str:
    lines = ['lock-version = "1.0"', 'created-by = "uv"', "[[packages]]", f'name = "{name}"']
    lines += ['version = "1.0"', f"marker = '{marker}'" if marker else ""]
    lines += [f"sdist = {artifact(sdist)}" if sdist else ""]
    found = [wheel if wheel.startswith("{") else artifact(wheel) for wheel in wheels]
    lines += [f"wheels = [{', '.join(found)}]" if found else ""]
    return "\n".join(lines) + "\n"


def read(text: str, **changes: Any) -> LockedPackage:
    (package,) = read_pylock(text, request(**changes))
    return package


def problem(text: str, **changes: Any) -> Problem:
    with pytest.raises(LockError) as caught:
        read_pylock(text, request(**changes))
    (found,) = caught.value.problems
    assert found.key == "images.serve"
    return found


def filenames(package: LockedPackage) -> list[str]:
    return [wheel.filename for wheel in package.wheels]


ANY = "demo-1.0-py3-none-any.whl"
X86 = "demo-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"
ARM = "demo-1.0-cp313-cp313-manylinux_2_28_aarch64.whl"
OLD_ABI = "demo-1.0-cp39-abi3-manylinux2014_x86_64.whl"


@pytest.mark.parametrize(
    "foreign",
    [
        "demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        "demo-1.0-cp313-cp313t-manylinux_2_28_x86_64.whl",
        "demo-1.0-cp313-cp313-musllinux_1_2_x86_64.whl",
        "demo-1.0-cp313-cp313-macosx_11_0_arm64.whl",
        "demo-1.0-cp313-cp313-win_amd64.whl",
        "demo-1.0-cp313-cp313-manylinux_2_99_x86_64.whl",
        "demo-1.0-pp311-pypy311_pp73-manylinux_2_28_x86_64.whl",
        ARM,
    ],
)
def test_wheels_of_others_are_left_out(foreign: str) -> None:
    assert filenames(read(pylock(foreign, X86))) == [X86]


def test_best_wheel_is_what_is_downloaded() -> None:
    package = read(pylock(ANY, OLD_ABI, X86))

    assert filenames(package) == sorted([ANY, OLD_ABI, X86])
    assert package.downloads["linux/amd64"].filename == X86


def test_each_platform_gets_its_own() -> None:
    package = read(pylock(ARM, X86), platforms=BOTH)

    assert {key: value.filename for key, value in package.downloads.items()} == {
        "linux/amd64": X86,
        "linux/arm64": ARM,
    }


def test_platform_without_a_wheel_is_named() -> None:
    found = problem(pylock(X86), platforms=BOTH)

    assert found.what == "demo 1.0 has no wheel for CPython 3.13 on linux/arm64"
    assert "cp313" in found.why


def test_source_alone_is_refused_with_the_way_to_allow_it() -> None:
    found = problem(pylock(sdist="demo-1.0.tar.gz"))

    assert "it has only a source archive" in found.why
    assert 'allow-source = ["demo"]' in found.fix


@pytest.mark.parametrize("name", ["demo-pkg", "Demo_Pkg", "demo.pkg"])
def test_source_is_taken_where_it_is_allowed_however_it_is_spelled(name: str) -> None:
    text = pylock(sdist="demo_pkg-1.0.tar.gz", name="demo-pkg")

    package = read(text, allow_source=(name,))

    assert package.source is not None
    assert package.downloads["linux/amd64"].filename == "demo_pkg-1.0.tar.gz"


def test_wheel_goes_before_an_allowed_source() -> None:
    package = read(pylock(X86, sdist="demo-1.0.tar.gz"), allow_source=("demo",))

    assert package.source is None


def test_what_no_index_publishes_is_refused() -> None:
    text = pylock().replace('\nversion = "1.0"', '\ndirectory = { path = "." }')

    assert "is a directory, an archive or a repository" in problem(text).what


def test_artifact_without_sha256_is_refused() -> None:
    found = problem(pylock(artifact(X86, sha256="")))

    assert found.what == "demo 1.0 has no SHA-256"
    assert X86 in found.why


def test_package_of_another_system_is_left_out() -> None:
    assert read_pylock(pylock(X86, marker='sys_platform == "win32"'), request()) == ()


def test_marker_that_always_holds_is_dropped() -> None:
    assert read(pylock(X86, marker='sys_platform == "linux"')).marker == ""


def test_marker_that_tells_platforms_apart_is_kept() -> None:
    package = read(pylock(X86, marker='platform_machine == "x86_64"'), platforms=BOTH)

    assert package.marker == 'platform_machine == "x86_64"'
    assert package.downloads.keys() == {"linux/amd64"}


def test_unknown_size_stays_unknown() -> None:
    assert read(pylock(artifact(X86, size=None))).wheels[0].size is None


def test_written_file_has_an_artifact_a_line_and_is_read_back() -> None:
    package = read(pylock(ANY, X86), platforms=("linux/amd64",))

    text = render_pylock([package], "3.13")

    assert len([line for line in text.splitlines() if "packages.example" in line]) == 2
    assert read(text) == package
    assert tomllib.loads(text)["requires-python"] == "==3.13.*"


def test_file_without_packages_is_one() -> None:
    # PEP 751 requires the key, and uv refuses a file without it.
    assert tomllib.loads(render_pylock([], "3.13"))["packages"] == []


def test_delete_character_is_escaped_as_toml_wants() -> None:
    odd = Artifact(filename="a\x7f", url="b", sha256=HASH)
    package = LockedPackage(name="demo", version="1", wheels=(odd,))

    document = tomllib.loads(render_pylock([package], "3.13"))

    assert document["packages"][0]["wheels"][0]["name"] == "a\x7f"


COMMIT = "c0ffee" * 6 + "c0de"
VCS = f"""\
lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "demo"
version = "1.0"
vcs = {{ type = "git", url = "https://git.example/demo", requested-revision = "v1", \
commit-id = "{COMMIT}", subdirectory = "py" }}
"""


class TestGit:
    def test_commit_takes_the_place_of_a_hash(self) -> None:
        package = read(VCS, requirements=("demo @ git+https://git.example/demo@v1",))

        assert package.git is not None
        assert package.git.commit == COMMIT
        (table,) = tomllib.loads(render_pylock([package], "3.13"))["packages"]
        assert table["vcs"] == tomllib.loads(VCS)["packages"][0]["vcs"]

    def test_repository_that_nobody_has_named_is_refused(self) -> None:
        found = problem(VCS, requirements=("other",))

        assert "demo comes from the repository https://git.example/demo" in found.what
        assert read(VCS, requirements=("other",), allow_source=("demo",)).git


def test_files_whose_hash_was_computed_are_named() -> None:
    package = read(pylock(ANY))

    text = render_pylock([package], "3.13", [ANY, "of-another-layer.whl"])

    assert tomllib.loads(text)["tool"] == {"envgen": {"hashed": [ANY]}}
