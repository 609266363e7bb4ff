"""The project's own packages in a lock: their files, and when they stale it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envgen.errors import LockError
from envgen.lock.model import LockedOwn
from envgen.lock.own import list_files, require_none_from_index
from envgen.lock.packages import LockedPackage
from envgen.spec.own_project import OwnProject, parse_own_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "Acme.Core"
version = "1.0"
dependencies = ["idna"]
"""
SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.13"

[images.serve]
install = ["core"]
"""


def make(folder: str, more: str = "") -> OwnProject:
    return parse_own_project(folder, (PROJECT + more).encode(), "3.13")


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_package_in_a_folder_of_its_own_is_that_folder(tmp_path: Path) -> None:
    assert list(list_files(make("libs/core"), tmp_path, "serve")) == ["libs/core"]


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["src/acme_core/x.py"], ["src"]),
        (["acme_core/x.py"], ["acme_core"]),
        (["acme_core.py"], ["acme_core.py"]),
        (["src/x.py", "setup.py", "LICENSE"], ["setup.py", "LICENSE", "src"]),
    ],
)
def test_of_the_projects_folder_only_the_package_is_taken(
    tmp_path: Path, there: list[str], found: list[str]
) -> None:
    touch(tmp_path, *there, ".env", "data/big.bin", "pyproject.toml")

    assert list(list_files(make("."), tmp_path, "serve")) == ["pyproject.toml", *found]


def test_readme_and_licences_that_are_named_are_taken(tmp_path: Path) -> None:
    touch(tmp_path, "src/x.py", "docs/README.md", "LICENSES/MIT.txt", "LICENSES/BSD.txt")
    named = 'readme = { file = "docs/README.md" }\nlicense-files = ["LICENSES/*"]\n'

    assert list(list_files(make(".", named), tmp_path, "serve")) == [
        "LICENSES/BSD.txt",
        "LICENSES/MIT.txt",
        "docs/README.md",
        "src",
    ]


def test_project_whose_files_cannot_be_told_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train.py", "data/big.bin")

    with pytest.raises(LockError, match=r"there is no src/, acme_core/ or acme_core\.py"):
        list(list_files(make("."), tmp_path, "serve"))


def test_package_of_an_index_with_an_own_name_is_refused() -> None:
    own = LockedOwn(name="acme-core", folder="core", files=("core",), sha256="0" * 64)
    packages = [LockedPackage(name="acme-core", version="66.6")]

    with pytest.raises(LockError, match="acme-core came from an index"):
        require_none_from_index("serve", [own], packages)


class TestStaleness:
    @pytest.fixture
    def own(self, project: Project) -> Project:
        project.write("envgen.toml", SPEC)
        project.write("core/pyproject.toml", PROJECT)
        project.write("core/acme_core.py", "")
        outcome = project.render_offline()
        assert outcome.code == 0, outcome.err
        return project

    def check(self, project: Project) -> str:
        outcome = project.run("render", "--check")
        assert outcome.code in {0, 1}
        return outcome.err

    def test_fresh_lock_is_not_stale(self, own: Project) -> None:
        assert self.check(own) == ""

    def test_code_stales_nothing(self, own: Project) -> None:
        own.write("core/acme_core.py", "x = 1\n")

        assert self.check(own) == ""

    @pytest.mark.parametrize(
        ("path", "old", "new", "said"),
        [
            ("core/pyproject.toml", "idna", "idna>=3", "its dependencies, Python"),
            ("core/pyproject.toml", "hatchling", "hatchling>=1", "is not the one that was read"),
            ("environments/serve/build.txt", "1.0", "1.1", "build.txt is not the one"),
            ("envgen.toml", 'install = ["core"]', "", "its dependencies, Python"),
        ],
    )
    def test_what_it_was_locked_for_does(
        self, own: Project, path: str, old: str, new: str, said: str
    ) -> None:
        own.write(path, own.read(path).replace(old, new))

        assert said in self.check(own)

    def test_line_endings_do_not(self, own: Project) -> None:
        own.write("core/pyproject.toml", PROJECT.replace("\n", "\r\n"))

        assert self.check(own) == ""
