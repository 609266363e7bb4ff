"""The documentation: links that lead somewhere, commands that exist, pages that are generated."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
import yaml

from envgen.cli import make_parser
from envgen.presets import preset_names
from envgen.spec.model import EPOCHS
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ *(?:\$ )?python -m envgen (.+)$|`python -m envgen ([^`]+)`", re.MULTILINE)
AFTER = re.compile(r"\s(?:[|>&#]|\$\().*")
"""What a line has after a command: a pipe, a redirection, a comment, what the shell fills in."""


def links(path: Path) -> Iterator[str]:
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield unquote(target)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges and the site make them."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", head.lower()).strip() for head in heads)
    return {re.sub(r"\s+", "-", word) for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        found = (page.parent / name) if name else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached_from_the_site() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = set(re.findall(r"[a-z]+\.md", str(config["nav"])))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")}


def commands(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for shown, inline in COMMAND.findall(text):
        yield AFTER.sub("", shown or inline)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    refused = [command for command in commands(page) if not exists(command)]
    assert refused == []


def exists(command: str) -> bool:
    words = shlex.split(command)
    if "…" in command or "COMMAND" in words:
        words = [words[0], "--help"]
    try:
        make_parser(words[0]).parse_args(words)
    except SystemExit as end:
        return end.code == 0
    return True


def test_the_commands_are_generated() -> None:
    """`python generator/bin/write_commands.py --write`"""
    script = runpy.run_path(str(ROOT / "generator" / "bin" / "write_commands.py"))
    committed = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

    assert committed == script["make_reference"]()


def test_the_inputs_of_the_action_are_told() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "howto.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([a-z-]+)` \|", text.partition("GitHub action")[2], re.MULTILINE)
    assert told == list(action["inputs"])
    outputs = re.findall(r"`([a-z-]+)`", text.partition("Outputs:")[2].partition(". ")[0])
    assert outputs == list(action["outputs"])


def test_presets_that_are_named_exist() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r'^preset = "([a-z-]+)"', page.read_text("utf-8"), re.MULTILINE)
    }
    assert named <= set(preset_names())
    assert "jupyter" in named


SPECS = ("howto", "packages", "peers", "presets")
"""Pages whose TOML is of specs; others have fleets, tables and what envgen writes."""


@pytest.mark.parametrize("name", SPECS)
def test_parts_of_specs_that_are_shown_are_valid(name: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        document = tomllib.loads(block.replace("…", "0" * 64))
        # A part says only what it is about.
        if "dependencies" in document:
            document = {"images": {"app": document}}
        document.setdefault("project", {"name": "demo", "python": "3.13"})
        document.setdefault("images", {"app": {}})
        parse_spec({"format": 1, "epoch": EPOCHS[-1]} | document, file=name)
