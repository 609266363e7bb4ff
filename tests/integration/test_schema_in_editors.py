"""taplo, which editors for TOML are made of, checks specs with the schema that they name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envgen.adopt.found import Found
from envgen.adopt.write import SCHEMA_FILE, write_spec

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "generator" / "envgen" / SCHEMA_FILE
EXAMPLES = sorted((ROOT / "examples").glob("*/envgen.toml"))
DIRECTIVE = f"#:schema ./{SCHEMA_FILE}\n"


@pytest.fixture
def taplo(tmp_path: Path) -> Path:
    """Return the program, with the schema in a folder beside it."""
    found = shutil.which("taplo", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("taplo is not installed")
    shutil.copyfile(SCHEMA, tmp_path / SCHEMA_FILE)
    return Path(found)


def lint(taplo: Path, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "envgen.toml").write_text(text, encoding="utf-8")
    command = [str(taplo), "lint", "--colors=never", "envgen.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples_are_accepted(taplo: Path, tmp_path: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    done = lint(taplo, tmp_path, DIRECTIVE + re.sub("^#:schema.*\n", "", text))

    assert done.returncode == 0, done.stderr


def test_what_init_writes_names_the_schema_and_is_accepted(taplo: Path, tmp_path: Path) -> None:
    text = write_spec(Found(sources=(), locker="uv"), folder="demo", image="serve")

    assert text.startswith(DIRECTIVE)
    assert lint(taplo, tmp_path, text).returncode == 0


def test_typo_is_found(taplo: Path, tmp_path: Path) -> None:
    text = write_spec(Found(sources=(), locker="uv"), folder="demo", image="serve")

    done = lint(taplo, tmp_path, text + "prot = 8000\n")

    assert done.returncode != 0
    assert "prot" in done.stderr
