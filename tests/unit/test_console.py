"""What goes where: results on standard output, the rest on standard error."""

import io
import json
import sys

import pytest

from envgen.console import Console
from envgen.errors import EnvgenError, Problem, SpecError

ERROR = SpecError(
    Problem(what="is wrong", file="envgen.toml", key="a.b", why="one\ntwo", fix="mend it"),
    Problem(what="is wrong, too"),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y\n", True), (" Yes\n", True), ("n\n", False), ("", False)]
)
def test_only_a_yes_on_a_terminal_agrees(
    monkeypatch: pytest.MonkeyPatch, answer: str, *, agreed: bool
) -> None:
    asked = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", asked)

    assert Console().confirm("Use it?") is agreed
    assert asked.getvalue() == "Use it? [y/N] "


@pytest.mark.parametrize("options", [{"quiet": True}, {"as_json": True}])
def test_nobody_is_asked_where_nobody_reads(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    monkeypatch.setattr(sys, "stderr", Terminal())

    assert not Console(**options).confirm("Use it?")


def test_answer_that_is_piped_in_agrees_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    assert not Console().confirm("Use it?")


def test_result_ends_in_one_newline(capsys: pytest.CaptureFixture[str]) -> None:
    Console().result("a")
    Console().result("b\n")
    Console().result("")

    assert capsys.readouterr().out == "a\nb\n"


def test_error_names_file_key_reason_and_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    Console().error(ERROR)

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "error: the spec is not valid (2 problems)\n"
        "envgen.toml: a.b: is wrong\n"
        "  why: one\n"
        "       two\n"
        "  fix: mend it\n"
        "is wrong, too\n"
    )


def test_json_is_plain_ascii_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=True)
    console.result("not this", {"größe": "漢"})
    said = capsys.readouterr()

    assert said.err == ""
    assert said.out.isascii()
    assert json.loads(said.out) == {"größe": "漢"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))

    Console().result("a 漢")

    assert raw.getvalue() == b"a \\u6f22\n"


def test_quiet_leaves_notes_and_summaries_out(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.note("note")
    console.summary("summary", {})

    assert capsys.readouterr() == ("", "")


def test_quiet_json_has_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    Console(quiet=True, as_json=True).summary("summary", {"a": 1})

    assert json.loads(capsys.readouterr().out) == {"a": 1}


@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_color_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, no_color: str, *, colored: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)

    Console().error(EnvgenError.single("x"))

    assert ("\x1b[" in terminal.getvalue()) == colored


def test_progress_is_plain_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Console().progress() as report:
        report("locking serve")

    assert capsys.readouterr().err == "locking serve\n"


def test_progress_says_nothing_where_it_is_to_be_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Console(quiet=True).progress() as report:
        report("locking serve")

    assert capsys.readouterr() == ("", "")
