from pathlib import Path

import pytest

from bin import update_conda_names as script
from envgen.errors import EnvgenError
from envgen.lockers.conda_names import NAMES_FILE, Name, parse_names

RECORDED = """\
{"7zip": null, "msgpack-python": ["msgpack", "msgpack-python"], "numpy": ["numpy"],
"pytables": ["tables"], "pytorch": ["torch"]}
"""
"""Five of the 25,000 lines of files/v0/conda-forge/compressed_mapping.json."""

FOUND = {"conda-forge": script.parse_mapping(RECORDED)}


def row(conda: str, pypi: str, source: str = "parselmouth 0, conda-forge") -> Name:
    return Name(conda=conda, pypi=pypi, source=source)


def test_recorded_mapping_is_read() -> None:
    found = FOUND["conda-forge"]

    assert found["7zip"] == ()
    assert found["pytorch"] == ("torch",)
    assert found["msgpack-python"] == ("msgpack", "msgpack-python")


def test_row_that_still_holds_stays_with_its_source() -> None:
    rows = (row("7zip", ""), row("msgpack-python", "msgpack"), row("pytorch", "torch"))

    assert script.refresh(rows, FOUND, "12345678") == rows


@pytest.mark.parametrize(("conda", "old", "new"), [("pytables", "", "tables"), ("7zip", "z", "")])
def test_changed_name_gets_the_commit_as_its_source(conda: str, old: str, new: str) -> None:
    (made,) = script.refresh([row(conda, old)], FOUND, "12345678")

    assert made == row(conda, new, "prefix-dev/parselmouth 12345678, conda-forge")


@pytest.mark.parametrize(
    ("lost", "said"),
    [(row("gone", "gone"), "has no gone"), (row("msgpack-python", ""), "is any of msgpack, ")],
)
def test_what_would_be_lost_or_guessed_fails(lost: Name, said: str) -> None:
    with pytest.raises(EnvgenError, match=said):
        script.refresh([row("numpy", "numpy"), lost], FOUND, "12345678")


def test_table_is_written_as_it_is_read() -> None:
    text = NAMES_FILE.read_text(encoding="utf-8")

    assert script.render(text, parse_names(text)) == text


def test_channel_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvgenError, match="no channel of it"):
        script.read_channel(tmp_path, "conda-forge")
