"""Every command end to end through `cli.run`, with every error that it can end in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envgen import __version__, errors
from envgen.cli import run
from envgen.errors import EnvgenError, exit_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

README = Path(__file__).parents[2] / "README.md"
CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, EnvgenError)
]
OTHER_IMAGE = "\n[images.train]\n"
DOCKERFILE = "environments/serve/Dockerfile"


def edit(project: Project, path: str = DOCKERFILE) -> None:
    project.write(path, project.read(path) + "# mine\n")


def fail_with(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the locker end in an error."""

    def fail(*_: object, **__: object) -> None:
        raise error

    patch.setattr("envgen.lockers.uv.probe_version", fail)


class TestExitCode:
    """Each code once as a user meets it."""

    def test_done(self, rendered: Project) -> None:
        assert rendered.run("render", "--check").code == 0

    def test_stale(self, project: Project) -> None:
        outcome = project.run("render", "--check")

        assert outcome.code == 1
        assert "it is not locked yet" in outcome.err

    def test_unknown_image_suggests_nearest(self, rendered: Project) -> None:
        outcome = rendered.run("render", "srve", "zzz")

        assert outcome.code == 2
        assert "there is no image 'srve'" in outcome.err
        assert "did you mean 'serve'?" in outcome.err
        assert "there is no image 'zzz'" in outcome.err

    @pytest.mark.parametrize(
        "argv",
        [
            [],
            ["rendr"],
            ["render", "--chek"],
            ["render", "--check", "--diff"],
            ["render", "--locked", "--frozen"],
            ["render", "-o", "file"],
            ["completion", "csh"],
        ],
    )
    def test_wrong_usage(self, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            run(argv)

        assert caught.value.code == 2
        assert "usage: envgen" in capsys.readouterr().err

    def test_invalid_spec(self, project: Project) -> None:
        project.write("envgen.toml", "format = 2\nx = 1\n")

        outcome = project.run("render")

        assert outcome.code == 3
        assert outcome.err.startswith("error: the spec is not valid (5 problems)\n")

    def test_no_spec(self, project: Project) -> None:
        (project.root / "envgen.toml").unlink()

        assert project.run("render").code == 3

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            ("format = 1\n", "does not hold what a lock holds"),
            ("format = 2\n", "has format 2"),
            ("<<<<<<< HEAD\nformat = 1\n", "conflict markers"),
            ("format = \n", "is not TOML"),
            ("x = " + "9" * 5000, "is not TOML"),
        ],
    )
    def test_damaged_lock(self, rendered: Project, content: str, word: str) -> None:
        rendered.write("envgen.lock", content)

        outcome = rendered.run("render")

        assert outcome.code == 4
        assert word in outcome.err
        assert "fix: " in outcome.err

    def test_edited_file(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "port = 1\n")
        edit(rendered)

        outcome = rendered.run("render")

        assert outcome.code == 7
        assert DOCKERFILE in outcome.err
        assert "--force" in outcome.err

    def test_unreadable_file(self, rendered: Project) -> None:
        (rendered.root / DOCKERFILE).unlink()
        (rendered.root / DOCKERFILE).mkdir()

        assert rendered.run("render", "--check").code == 8


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
class TestEveryError:
    def test_it_is_told_without_a_traceback(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, error: type[EnvgenError]
    ) -> None:
        fail_with(monkeypatch, error.single("went wrong", why="because", fix="try again"))
        before = project.files()

        outcome = project.run("render")

        assert outcome.code == error.exit_code
        assert outcome.out == ""
        assert outcome.err.splitlines()[-3:] == [
            "went wrong",
            "  why: because",
            "  fix: try again",
        ]
        assert f"error: {error.title}" in outcome.err
        assert "Traceback" not in outcome.err
        assert project.files() == before

    def test_json_has_all_of_it(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, error: type[EnvgenError]
    ) -> None:
        problem = errors.Problem(what="größer\n漢", file="f", key="a.b", why="w", fix="x")
        fail_with(monkeypatch, error(problem, problem))

        outcome = project.run("render", "--json")

        listed = {"what": "größer\n漢", "file": "f", "key": "a.b", "why": "w", "fix": "x"}
        assert outcome.code == error.exit_code
        assert outcome.json == {
            "exit-code": error.exit_code,
            "error": error.title,
            "problems": [listed, listed],
        }

    def test_its_code_is_documented(self, error: type[EnvgenError]) -> None:
        assert (error.exit_code, error.title) in set(exit_codes())


def test_exit_codes_are_all_different() -> None:
    codes = [code for code, _ in exit_codes()]

    assert len(codes) == len(set(codes))


def test_readme_has_the_table_of_exit_codes() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    if not rows:
        pytest.skip("README has no such table")

    assert [(int(code), meaning) for code, meaning in rows] == list(exit_codes())


def test_help_has_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])

    shown = capsys.readouterr().out
    assert all(f"{code:>3}  {meaning}" in shown for code, meaning in exit_codes())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"envgen {__version__}\n"


class TestDefect:
    @pytest.fixture(autouse=True)
    def _defect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fail_with(monkeypatch, ZeroDivisionError("by zero"))

    def test_it_says_how_to_report_it(self, project: Project) -> None:
        outcome = project.run("render")

        assert outcome.code == 70
        assert "ZeroDivisionError: by zero" in outcome.err
        assert "--verbose" in outcome.err
        assert "Traceback" not in outcome.err

    def test_verbose_raises_it(self, project: Project) -> None:
        with pytest.raises(ZeroDivisionError):
            project.run("render", "--verbose")

    def test_json_has_it(self, project: Project) -> None:
        assert project.run("render", "--json").json["exit-code"] == 70


def test_ctrl_c_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())

    outcome = project.run("render")

    assert outcome.code == 130
    assert "interrupted" in outcome.err
    assert "Traceback" not in outcome.err


class TestRender:
    def test_first_one_locks_and_writes(self, project: Project) -> None:
        outcome = project.render_offline()

        assert outcome.code == 0
        assert outcome.out.startswith("serve: ")
        assert outcome.out.endswith(" files written\n")
        assert DOCKERFILE in project.files()
        assert "envgen.lock" in project.files()

    def test_second_one_does_nothing(self, rendered: Project) -> None:
        before = rendered.files()

        outcome = rendered.run("render")

        assert (outcome.code, outcome.out) == (0, "serve: up to date\n")
        assert rendered.files() == before

    def test_missing_file_is_written_again_without_locking(self, rendered: Project) -> None:
        before = rendered.files()
        (rendered.root / DOCKERFILE).unlink()

        assert rendered.run("render").out == "serve: 1 file written\n"
        assert rendered.files() == before

    def test_json_lists_what_was_written(self, rendered: Project) -> None:
        (rendered.root / DOCKERFILE).unlink()

        assert rendered.run("render", "--json").json == {
            "images": ["serve"],
            "written": [DOCKERFILE],
        }

    def test_one_image_of_several(self, project: Project) -> None:
        project.write("envgen.toml", project.read("envgen.toml") + OTHER_IMAGE)

        assert project.render_offline("train").code == 0
        assert (project.root / "environments/train/Dockerfile").exists()
        assert not (project.root / "environments/serve").exists()

    def test_lock_keeps_the_image_that_was_not_asked_for(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + OTHER_IMAGE)

        assert rendered.render_offline("train").code == 0
        assert rendered.run("render", "--check").code == 0

    def test_force_overwrites_an_edited_file(self, rendered: Project) -> None:
        before = rendered.files()
        edit(rendered)

        assert rendered.run("render", "--force").code == 0
        assert rendered.files() == before

    def test_edit_is_refused_though_nothing_else_changed(self, rendered: Project) -> None:
        edit(rendered)
        before = rendered.files()

        assert rendered.run("render").code == 7
        assert rendered.files() == before

    def test_image_that_is_gone_leaves_the_lock(self, project: Project) -> None:
        spec = project.read("envgen.toml")
        project.write("envgen.toml", spec + OTHER_IMAGE)
        project.render_offline()
        project.write("envgen.toml", spec)

        assert project.render_offline().code == 0
        assert "train" not in project.read("envgen.lock")

    @pytest.mark.parametrize("folder", ["two words", "Größe 漢字", "#1 $HOME 'x'"])
    def test_folder_may_be_called_anything(self, project: Project, folder: str) -> None:
        project.root = project.root.rename(project.root.with_name(folder))

        assert project.render_offline().code == 0
        assert project.run("render", "--check").code == 0

    @pytest.mark.parametrize("copy", ["app/", "model.bin"])
    def test_copy_that_is_not_there_is_told_before_locking(
        self, project: Project, copy: str
    ) -> None:
        project.write("envgen.toml", project.read("envgen.toml") + f"copy = ['{copy}']\n")

        outcome = project.run("render")

        assert outcome.code == 3
        assert "does not exist" in outcome.err


class TestCheck:
    def test_it_writes_nothing_and_needs_no_network(self, rendered: Project) -> None:
        (rendered.root / DOCKERFILE).unlink()
        before = rendered.files()

        outcome = rendered.run("render", "--check")

        assert outcome.code == 1
        assert f"{DOCKERFILE}: is missing" in outcome.err
        assert "python -m envgen render" in outcome.err
        assert rendered.files() == before

    def test_edited_file_is_named_as_such(self, rendered: Project) -> None:
        edit(rendered)

        outcome = rendered.run("render", "--check")

        assert outcome.code == 1
        assert f"{DOCKERFILE}: has been edited by hand" in outcome.err

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda spec: spec + "dependencies = ['numpy']\n", "its dependencies"),
            (lambda spec: spec.replace("3.13", "3.12"), "its dependencies, Python"),
            (lambda spec: spec + "base = 'debian'\n", "its base image"),
            (lambda spec: spec + OTHER_IMAGE, "it is not locked yet"),
        ],
    )
    def test_spec_that_asks_for_other_pins_stales_the_lock(
        self, rendered: Project, change: Callable[[str], str], why: str
    ) -> None:
        rendered.write("envgen.toml", change(rendered.read("envgen.toml")))

        outcome = rendered.run("render", "--check")

        assert outcome.code == 1
        assert why in outcome.err

    @pytest.mark.parametrize(
        "change",
        [
            lambda spec: "# a comment\n" + spec,
            lambda spec: spec.replace("\n", "\r\n"),
            lambda spec: spec + 'determinism = "strict"\n',
        ],
    )
    def test_spec_that_says_the_same_stales_nothing(
        self, rendered: Project, change: Callable[[str], str]
    ) -> None:
        rendered.write("envgen.toml", change(rendered.read("envgen.toml")))

        assert rendered.run("render", "--check").code == 0

    def test_spec_that_changes_files_alone_needs_no_new_lock(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "port = 1\n")

        outcome = rendered.run("render", "--check")

        assert outcome.code == 1
        assert "is not what the spec and the lock give" in outcome.err
        assert rendered.run("render").code == 0

    @pytest.mark.parametrize("file", ["uv.lock", "pylock.packages.toml"])
    def test_lockers_file_that_was_touched_stales_the_lock(
        self, rendered: Project, file: str
    ) -> None:
        path = f"environments/serve/{file}"
        rendered.write(path, rendered.read(path) + "\n# touched\n")

        outcome = rendered.run("render", "--check")

        assert outcome.code == 1
        assert file in outcome.err

    def test_checkout_with_other_line_endings_agrees(self, rendered: Project) -> None:
        for path, content in rendered.files().items():
            rendered.write(path, content.replace(b"\n", b"\r\n"))

        assert rendered.run("render", "--check").code == 0

    def test_json_says_how_many_files_agree(self, rendered: Project) -> None:
        data = rendered.run("render", "--check", "--json").json

        assert data["images"] == ["serve"]
        assert data["files"] > 3

    def test_lock_with_an_image_that_is_gone_is_stale(self, project: Project) -> None:
        spec = project.read("envgen.toml")
        project.write("envgen.toml", spec + OTHER_IMAGE)
        project.render_offline()
        project.write("envgen.toml", spec)

        assert project.run("render", "--check").code == 1


class TestLockModes:
    def test_locked_refuses_a_stale_lock(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "dependencies = ['numpy']\n")
        before = rendered.files()

        outcome = rendered.run("render", "--locked")

        assert outcome.code == 1
        assert "image serve has to be locked again" in outcome.err
        assert rendered.files() == before

    def test_locked_renders_a_lock_that_fits(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "port = 1\n")

        assert rendered.run("render", "--locked").code == 0

    def test_frozen_takes_a_stale_lock(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "dependencies = ['numpy']\n")

        assert rendered.run("render", "--frozen").code == 0
        assert "numpy" not in rendered.read("environments/serve/pylock.packages.toml")

    def test_frozen_needs_a_lock(self, project: Project) -> None:
        outcome = project.run("render", "--frozen")

        assert outcome.code == 4
        assert "image serve is not locked" in outcome.err

    @pytest.mark.parametrize(
        "change",
        [
            lambda spec: spec.replace("3.13", "3.12"),
            lambda spec: spec + 'platforms = ["linux/arm64"]\n',
        ],
    )
    def test_frozen_lock_that_lacks_what_the_spec_needs_is_told(
        self, rendered: Project, change: Callable[[str], str]
    ) -> None:
        rendered.write("envgen.toml", change(rendered.read("envgen.toml")))

        outcome = rendered.run("render", "--frozen")

        assert outcome.code == 4
        assert "envgen.lock: does not hold" in outcome.err
        assert "python -m envgen lock" in outcome.err


class TestPrint:
    def test_diff_shows_what_would_change_and_writes_nothing(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "port = 8123\n")
        before = rendered.files()

        outcome = rendered.run("render", "--diff")

        assert outcome.code == 0
        assert f"--- a/{DOCKERFILE}" in outcome.out
        assert "+EXPOSE 8123" in outcome.out
        assert rendered.files() == before

    def test_diff_of_an_edited_file_shows_the_edit(self, rendered: Project) -> None:
        edit(rendered)

        assert "-# mine" in rendered.run("render", "--diff").out

    def test_diff_as_json_lists_the_files(self, rendered: Project) -> None:
        edit(rendered)

        data = rendered.run("render", "--diff", "--json").json

        assert data["changed"] == [DOCKERFILE]
        assert "-# mine" in data["diff"]

    def test_diff_is_empty_where_all_agrees(self, rendered: Project) -> None:
        assert rendered.run("render", "--diff").out == ""

    def test_output_prints_the_dockerfile_and_writes_nothing(self, rendered: Project) -> None:
        (rendered.root / DOCKERFILE).rename(rendered.root / "kept")
        before = rendered.files()

        outcome = rendered.run("render", "-o", "-")

        assert outcome.out == rendered.read("kept")
        assert rendered.files() == before

    def test_output_as_json_has_the_dockerfile_by_its_path(self, rendered: Project) -> None:
        data = rendered.run("render", "-o", "-", "--json").json

        assert data == {DOCKERFILE: rendered.read(DOCKERFILE)}


class TestQuiet:
    @pytest.mark.parametrize("flags", [["--check"], []])
    def test_nothing_is_said_when_all_is_well(self, rendered: Project, flags: list[str]) -> None:
        outcome = rendered.run("render", "--quiet", *flags)

        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")

    def test_locking_is_quiet_too(self, project: Project) -> None:
        outcome = project.render_offline("--quiet")

        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")

    def test_errors_are_told(self, project: Project) -> None:
        assert "error:" in project.run("render", "--check", "--quiet").err

    def test_what_was_asked_for_is_written(self, rendered: Project) -> None:
        assert rendered.run("render", "--quiet", "-o", "-").out


@pytest.mark.usefixtures("_offline")
class TestLock:
    def test_changes_are_named(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "dependencies = ['numpy']\n")

        assert rendered.run("lock").out == "serve: added numpy 1.0\n"
        assert rendered.run("lock").out == "nothing changed\n"

    def test_json_has_the_changes(self, rendered: Project) -> None:
        rendered.write("envgen.toml", rendered.read("envgen.toml") + "dependencies = ['numpy']\n")

        assert rendered.run("lock", "--json").json == {
            "changes": [{"image": "serve", "name": "numpy", "old": "", "new": "1.0"}]
        }

    def test_it_writes_no_dockerfile(self, project: Project) -> None:
        assert project.run("lock").code == 0
        assert DOCKERFILE not in project.files()
        assert "environments/serve/uv.lock" in project.files()


class TestExplain:
    def test_every_decision_has_a_reason(self, rendered: Project) -> None:
        outcome = rendered.run("explain")

        assert outcome.code == 0
        assert "self-test" in outcome.out
        assert outcome.out.count("because ") >= 5

    def test_json_has_the_decisions(self, rendered: Project) -> None:
        (decisions,) = rendered.run("explain", "--json").json.values()

        assert all(entry.keys() == {"about", "choice", "reason"} for entry in decisions)
        assert all(all(entry.values()) for entry in decisions)

    def test_it_needs_a_lock(self, project: Project) -> None:
        assert project.run("explain").code == 1


@pytest.mark.parametrize("shell", ["bash", "fish", "tcsh", "zsh"])
def test_completion_knows_every_command_and_option(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == 0

    script = capsys.readouterr().out
    for word in ("render", "lock", "build", "explain", "schema", "frozen", "no-cache", "upgrade"):
        assert word in script, word


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_schema_is_printed(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--format", form]) == 0

    assert "images" in capsys.readouterr().out


def test_folder_that_is_not_there_is_wrong_usage(project: Project) -> None:
    assert run(["render", "-C", str(project.root / "typo")]) == 2
