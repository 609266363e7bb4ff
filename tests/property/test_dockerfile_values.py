"""Values of a spec in a Dockerfile, read back by BuildKit's own parser.

The parser is the PyPI package `dockerfile`. It returns the words of ENV and LABEL as they stand in
the file; `unquote` takes their quotes off by the rules of Docker's reference ("Environment
replacement"), and knows nothing of how envgen writes them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import dockerfile  # type: ignore[import-not-found]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.plan.image import make_plan
from envgen.render import render
from envgen.spec.forms import FORMS
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lock.model import Lock
    from envgen.plan.model import ImagePlan
    from envgen.spec.model import Spec

    MakeLock = Callable[[Spec], Lock]

HARMLESS = {"env": {"A": "x"}, "command": ["x"], "copy": ["x"], "workdir": "/x"}
VALUED = {"ENV", "LABEL", "WORKDIR", "CMD"}


def accepted(form: str, alphabet: str) -> st.SearchStrategy[str]:
    """Return texts that the spec takes, with many of the characters that could do harm."""
    letters = st.one_of(st.sampled_from(alphabet), st.characters())
    return st.text(letters, max_size=12).filter(lambda text: FORMS[form](text) is None)


def accepted_path(form: str, letters: st.SearchStrategy[str], lead: str) -> st.SearchStrategy[str]:
    part = st.text(letters, min_size=1, max_size=6)
    joined = st.lists(part, min_size=1, max_size=3).map(lambda parts: lead + "/".join(parts))
    return joined.filter(lambda text: FORMS[form](text) is None)


texts = accepted("text", "\\\"'$`#{}!%&|<>[]() =ax\n\r")
paths = accepted_path(
    "copy-path", st.one_of(st.sampled_from(".-_#!{}()+^~,;:= ax"), st.characters()), ""
)
workdirs = accepted_path("image-path", st.sampled_from("._-ax"), "/")
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
images = st.fixed_dictionaries(
    {
        "env": st.dictionaries(names, texts, max_size=3),
        "command": st.lists(texts, max_size=3),
        "copy": st.lists(paths, max_size=3),
        "workdir": workdirs,
    }
)


def plan_and_text(image: dict[str, Any], make_lock: MakeLock) -> tuple[ImagePlan, str]:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {"serve": image},
    }
    spec = parse_spec(document, file="envgen.toml")
    plan = make_plan(spec, make_lock(spec), spec_file="envgen.toml")
    text = next(file.content for file in render(plan) if file.path.endswith("/Dockerfile"))
    return plan.images[0], text.decode()


def unquote(word: str) -> str:
    """Return what a quoted word of ENV or LABEL stands for; refuse what would be substituted."""
    inner = re.fullmatch(r'"((?:[^"\\$]|\\[\s\S])*)"', word)
    assert inner, f"{word} is not one quoted word without variables"
    return re.sub(r'\\(["\\$])', r"\1", inner[1])


def pairs(commands: list[dockerfile.Command], name: str) -> list[tuple[str, str]]:
    return [
        (command.value[0], unquote(command.value[1])) for command in commands if command.cmd == name
    ]


def comments(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith("#")]
    return [line for line in lines if not line.startswith("# sha256:")]


def fixed(commands: list[dockerfile.Command]) -> list[str]:
    """Return the instructions that hold no value of the spec."""
    return [
        command.original
        for command in commands
        if command.cmd not in VALUED and not (command.cmd == "COPY" and command.json)
    ]


@given(image=images)
def test_dockerfile_says_what_the_spec_says_and_no_more(
    make_lock: MakeLock, image: dict[str, Any]
) -> None:
    plan, text = plan_and_text(image, make_lock)
    harmless = {key: value if image[key] else image[key] for key, value in HARMLESS.items()}
    _, other = plan_and_text(harmless, make_lock)

    commands = list(dockerfile.parse_string(text))

    env = dict(pairs(commands, "ENV"))
    assert {name: env[name] for name in image["env"]} == image["env"]
    assert list(pairs(commands, "LABEL")) == list(plan.labels)
    assert [c.value for c in commands if c.cmd == "WORKDIR"] == [(image["workdir"],)]
    assert [c.value for c in commands if c.cmd == "CMD"] == (
        [tuple(image["command"])] if image["command"] else []
    )
    assert [c.value for c in commands if c.cmd == "COPY" and c.json] == [
        (path.rstrip("/"), f"/out{image['workdir']}/{path.rstrip('/')}") for path in image["copy"]
    ]
    assert all(c.json for c in commands if c.cmd == "CMD")
    assert fixed(commands) == fixed(list(dockerfile.parse_string(other)))
    assert comments(text) == comments(other)


@given(image=images)
def test_every_line_is_blank_a_comment_or_part_of_an_instruction(
    make_lock: MakeLock, image: dict[str, Any]
) -> None:
    _, text = plan_and_text(image, make_lock)

    # The parser counts from 1; only "\n" ends a line of a Dockerfile.
    spans = [(c.start_line, c.end_line) for c in dockerfile.parse_string(text)]
    covered = {line for start, end in spans for line in range(start, end + 1)}

    for number, line in enumerate(text.split("\n"), start=1):
        assert number in covered or not line.strip() or line.startswith("#"), line


@pytest.mark.parametrize("value", ["$HOME", "${X:-y}", "\\", "\\\\$x", '"', "'", "#", "a\\", " "])
def test_value_that_docker_would_read_otherwise_comes_back(make_lock: MakeLock, value: str) -> None:
    _, text = plan_and_text({"env": {"A": value}, "command": [value]}, make_lock)
    commands = list(dockerfile.parse_string(text))

    assert dict(pairs(commands, "ENV"))["A"] == value
    assert commands[-1].value == (value,)
