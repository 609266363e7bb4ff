"""The tables are complete and agree with each other."""

import hashlib
import inspect
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from envgen.cuda.tables import FOLDER, Row, load_tables, tables
from envgen.cuda.version import parse_capability, parse_version
from envgen.errors import EnvgenError

ROOT = Path(__file__).parents[3]
BIN = ROOT / "generator" / "bin"
FILES = re.findall(r'"(\w+\.toml)"', inspect.getsource(load_tables))
CASES = [ROOT / "tests" / "data" / "cuda" / f"{name}.toml" for name in ("develop", "held-out")]


def every_row() -> list[Row]:
    return [row for name in tables().__struct_fields__ for row in getattr(tables(), name)]


def test_every_row_names_its_source() -> None:
    assert [row for row in every_row() if not row.source.strip()] == []


def test_there_are_rows_that_could_not_be_checked_and_they_say_so() -> None:
    assert {row.verified for row in every_row()} == {True, False}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("drivers.toml", "branch = 535, ", ""),
        ("gpus.toml", 'category = "datacenter"', 'category = "server"'),
        ("kernels.toml", 'machine = "x86_64", ', ""),
        ("toolkits.toml", "verified = true", "checked = true"),
    ],
)
def test_incomplete_row_is_refused(tmp_path: Path, file: str, old: str, new: str) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "cuda")
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(EnvgenError) as caught:
        load_tables(folder)
    assert caught.value.problems[0].file == file


def test_empty_table_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "cuda")
    (folder / "compat.toml").write_text("compat = []\n", "utf-8")
    with pytest.raises(EnvgenError, match="has no rows"):
        load_tables(folder)


def test_newer_branches_support_newer_cuda() -> None:
    rows = sorted(tables().branches, key=lambda row: row.branch)
    supported = [parse_version(row.cuda) for row in rows]
    assert supported == sorted(supported)
    assert len({row.branch for row in rows}) == len(rows)


def test_compat_packages_work_below_their_own_branch_only() -> None:
    assert [row for row in tables().compat if max(row.branches) >= row.driver] == []


def test_compat_package_brings_the_driver_of_its_cuda() -> None:
    native = {row.branch: row.cuda for row in tables().branches}
    assert [row.cuda for row in tables().compat if native[row.driver] != row.cuda] == []


def test_every_gpu_has_an_architecture() -> None:
    known = {parse_capability(row.capability) for row in tables().architectures}
    assert [g.name for g in tables().gpus if parse_capability(g.capability) not in known] == []


def test_kernels_can_be_made_by_their_toolkit() -> None:
    rows = {row.capability: row for row in tables().architectures}
    impossible = [
        (build.package, build.version, build.cuda, code)
        for build in tables().kernels
        for code in (*build.sass, *build.ptx)
        if parse_version(build.cuda) < parse_version(rows[code].cuda_first)
        or (
            rows[code].cuda_last and parse_version(build.cuda) > parse_version(rows[code].cuda_last)
        )
    ]
    assert impossible == []


def test_no_build_is_listed_twice() -> None:
    keys = [(row.package, row.version, row.cuda, row.machine) for row in tables().kernels]
    assert sorted(keys) == sorted(set(keys))


def test_image_software_is_known_elsewhere() -> None:
    known = {row.package for row in tables().kernels} | {row.name for row in tables().software}
    assert {row.software for row in tables().images} - known <= {""}


@pytest.mark.parametrize("file", sorted(set(FILES)))
def test_head_of_a_table_says_which_script_or_who_keeps_it(file: str) -> None:
    lines = (FOLDER / file).read_text("utf-8").splitlines()
    head = "\n".join(line for line in lines if line.startswith("#"))
    scripts = re.findall(r"generator/bin/(\w+\.py)", head)
    assert scripts or "Kept by hand, by the maintainers" in head
    assert all((BIN / script).is_file() for script in scripts)


def test_scheduled_workflow_runs_every_script() -> None:
    workflow = (ROOT / ".github" / "workflows" / "update-tables.yml").read_text("utf-8")
    scripts = {path.stem for path in BIN.glob("update_*.py")}
    assert {name for name in scripts if not re.search(rf"\b{name}\b", workflow)} == set()


def test_rows_kept_by_hand_say_where_they_can_be_checked() -> None:
    by_hand = (*tables().images, *tables().needs, *tables().software, *tables().bundles)
    assert [row for row in by_hand if len(row.source.split()) < 2 and "/" not in row.source] == []


@pytest.mark.parametrize("file", CASES, ids=lambda path: path.name)
def test_cases_are_in_the_file_that_the_hash_of_their_id_says(file: Path) -> None:
    expected = 0 if file.stem == "develop" else 1
    ids = [case["id"] for case in tomllib.loads(file.read_text("utf-8"))["case"]]
    assert [i for i in ids if hashlib.sha256(i.encode()).digest()[0] % 2 != expected] == []
    assert len(ids) == len(set(ids))
