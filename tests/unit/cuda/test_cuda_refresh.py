"""Rows go back into a table's file as they came out of it, and none are lost."""

import tomllib
from pathlib import Path

import pytest

from envgen.cuda import refresh
from envgen.cuda.refresh import lost_rows, replace_rows, update
from envgen.cuda.tables import FOLDER, Branch, tables
from envgen.errors import EnvgenError, ToolError
from envgen.process import Finished

ARRAYS = {
    ("toolkits.toml", "toolkit"): "toolkits",
    ("drivers.toml", "branch"): "branches",
    ("compat.toml", "compat"): "compat",
    ("architectures.toml", "architecture"): "architectures",
    ("gpus.toml", "gpu"): "gpus",
    ("kernels.toml", "kernels"): "kernels",
    ("labels.toml", "label"): "labels",
    ("images.toml", "image"): "images",
    ("ngc.toml", "release"): "ngc",
    ("ptx.toml", "software"): "software",
    ("ptx.toml", "bundle"): "bundles",
    ("defaults.toml", "default"): "defaults",
    ("needs.toml", "need"): "needs",
}
ROW = Branch(branch=1, cuda="1.0", source="a test", verified=False)


@pytest.mark.parametrize(("place", "field"), ARRAYS.items(), ids=str)
def test_rows_that_were_read_are_written_as_they_were(place: tuple[str, str], field: str) -> None:
    text = (FOLDER / place[0]).read_text("utf-8")
    assert replace_rows(text, place[1], getattr(tables(), field)) == text


def test_rows_are_replaced_and_the_rest_of_the_file_stays() -> None:
    text = "# head\n\nbranch = [\n  { a = 1 },\n]\n\nother = [\n  { b = 2 },\n]\n"
    new = replace_rows(text, "branch", [ROW])
    assert new.startswith("# head\n\nbranch = [\n  { branch = 1, ")
    assert tomllib.loads(new)["other"] == [{"b": 2}]


def test_empty_array_takes_rows() -> None:
    assert replace_rows("branch = [\n]\n", "branch", [ROW]).count("branch = 1") == 1


def test_lost_rows_are_named() -> None:
    assert lost_rows("a = [{}, {}]\nb = [{}]\n", "a = [{}]\nb = [{}]\n") == ["a"]


def test_update_shows_a_difference_and_writes_only_when_told(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text("branch = [\n]\n", "utf-8")
    new = replace_rows("branch = [\n]\n", "branch", [ROW])
    assert '+  { branch = 1, cuda = "1.0"' in update("t.toml", new, write=False, folder=tmp_path)
    assert (tmp_path / "t.toml").read_text("utf-8") == "branch = [\n]\n"
    update("t.toml", new, write=True, folder=tmp_path)
    assert (tmp_path / "t.toml").read_text("utf-8") == new


def test_update_that_loses_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(replace_rows("branch = [\n]\n", "branch", [ROW]), "utf-8")
    with pytest.raises(EnvgenError, match="branch would lose rows"):
        update("t.toml", "branch = [\n]\n", write=True, folder=tmp_path)


@pytest.mark.parametrize("code", [0, 1])
def test_program_that_fails_is_an_error_not_an_empty_answer(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    done = Finished(argv=("git",), returncode=code, stdout="tags", stderr="no such repository")
    monkeypatch.setattr(refresh, "run", lambda _: done)
    if code:
        with pytest.raises(ToolError, match="git failed") as caught:
            refresh.ask(["git", "ls-remote"])
        assert "no such repository" in str(caught.value)
    else:
        assert refresh.ask(["git", "ls-remote"]) == "tags"
