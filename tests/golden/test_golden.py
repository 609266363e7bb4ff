"""What is rendered, byte for byte. After a change that is meant: `pytest --update-golden`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pytest

from envgen.release.published import PUBLISHED_FILE
from envgen.render import files
from envgen.render.quote import quote, quote_words
from envgen.resources import RUNTIME, TEMPLATES

if TYPE_CHECKING:
    from tests.conftest import Project

MARK = "/runtime/"


def outputs(project: Project, inputs: set[str]) -> dict[str, bytes]:
    """Return what rendering made, without the runtime, which has tests of its own."""
    return {
        path: content
        for path, content in project.files().items()
        if path not in inputs and MARK not in path
    }


def expected(case: Path) -> dict[str, bytes]:
    folder = case / "expected"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def update(case: Path, project: Project, inputs: set[str]) -> None:
    """Lock and render anew, and keep the results as the case's own."""
    before = {path for path in inputs if not _is_locked(path)}
    published = project.files().get(PUBLISHED_FILE)
    shutil.rmtree(project.root / "environments", ignore_errors=True)
    (project.root / "envgen.lock").unlink(missing_ok=True)
    if published:
        project.write(PUBLISHED_FILE, published)
    outcome = project.render_offline()
    assert outcome.code == 0, outcome.err
    shutil.rmtree(case / "expected")
    for path, content in project.files().items():
        if path in before or MARK in path:
            continue
        target = case / path if _is_locked(path) else case / "expected" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _is_locked(path: str) -> bool:
    own = (".lock", "/conda-lock.yml", "/conda.toml", "/build.txt")
    return path.endswith(own) or "/pylock." in path


def test_rendered_files_are_the_expected_ones(
    case: Path, copied: Project, request: pytest.FixtureRequest
) -> None:
    inputs = set(copied.files())
    if request.config.getoption("--update-golden"):
        update(case, copied, inputs)
        pytest.skip("updated")

    outcome = copied.run("render", "--locked")

    assert outcome.code == 0, outcome.err
    found = outputs(copied, inputs)
    assert found.keys() == expected(case).keys()
    for path, content in expected(case).items():
        assert found[path].decode() == content.decode(), path


def test_runtime_is_there_where_the_health_check_is(copied: Project) -> None:
    names = sorted(path.relative_to(RUNTIME).as_posix() for path in RUNTIME.rglob("*.py"))
    assert copied.run("render", "--locked").code == 0

    for dockerfile in copied.root.glob("environments/*/Dockerfile"):
        folder = dockerfile.parent / "runtime"
        found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
        assert found == (names if "HEALTHCHECK --" in dockerfile.read_text("utf-8") else [])


def test_rendering_again_changes_nothing(copied: Project) -> None:
    copied.run("render", "--locked")
    before = copied.files()

    assert copied.run("render", "--check").code == 0
    assert copied.run("render").code == 0
    assert copied.files() == before


class Jinja:
    """The environment of `envgen.render.files` on the other engine."""

    def __init__(self, epoch: str) -> None:
        self.engine = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES / epoch),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # noqa: S701 - nothing here is HTML
        )
        self.engine.filters.update(quote=quote, json=quote_words)

    def render_template(self, name: str, **context: Any) -> str:
        return self.engine.get_template(name).render(**context)


def test_jinja_renders_the_same_bytes(
    case: Path, copied: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = set(copied.files())
    monkeypatch.setattr(files, "_environment", Jinja)

    assert copied.run("render", "--locked").code == 0

    assert outputs(copied, inputs) == expected(case)


def test_dockerfiles_have_no_finding_of_hadolint(tmp_path: Path) -> None:
    dockerfiles = sorted(Path(__file__).parent.glob("*/expected/environments/*/Dockerfile"))
    hadolint = Path(sys.executable).with_name("hadolint")
    assert dockerfiles

    done = subprocess.run(
        # DL3002: a stage of builds may run as root. Whom images run as, other tests look at.
        [hadolint, "--disable-ignore-pragma", "--ignore=DL3002", *dockerfiles],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
