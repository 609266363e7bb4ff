"""What gets into a build, by a matcher of its own for ignore files.

The rules are those of Docker's documentation ("dockerignore files"): the last line that matches
decides; a line matches a path and everything below it; `*` stops at a slash, `**` does not; `!`
lets in what earlier lines kept out. Libraries for .gitignore (pathspec among them) have other
rules: there, nothing below an ignored folder can be let in again.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from envgen.plan.image import make_plan
from envgen.render import render
from envgen.spec.forms import check_copy_path
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lock.model import Lock
    from envgen.spec.model import Spec

OWN = {"environments/serve/uv.txt", "environments/serve/pylock.packages.toml"}
HIDDEN = [".git/config", ".env", "__pycache__/x.py", "x.pyc"]
OUTSIDE = [
    "README.md",
    "envgen.toml",
    "envgen.lock",
    "environments/serve/Dockerfile",
    "environments/serve/uv.lock",
    "environments/other/uv.txt",
    "secrets/key.pem",
    *HIDDEN,
]

part = st.text(
    st.one_of(st.sampled_from(".-_#!{}()+^~,: ax"), st.characters()), min_size=1, max_size=5
)
paths = (
    st.lists(part, min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda text: check_copy_path(text) is None)
)


def matches(pattern: str, path: str) -> bool:
    """Return whether one pattern of an ignore file matches a path or a folder above it."""
    expression = ""
    for token in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern):
        wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        expression += wild.get(token) or re.escape(token)
    here = PurePosixPath(path)
    return any(re.fullmatch(expression, str(p), re.DOTALL) for p in (here, *here.parents))


def let_in(ignore: str, path: str) -> bool:
    """Return whether a builder sees a path of its context."""
    result = True
    for line in ignore.split("\n"):
        pattern = line.strip()
        if not pattern or line.startswith("#"):
            continue
        inverted = pattern.startswith("!")
        normal = str(PurePosixPath(pattern[1:].strip() if inverted else pattern))
        if matches(normal.removeprefix("/"), path):
            result = inverted
    return result


@given(copies=st.lists(paths, max_size=3), more=st.lists(paths, max_size=3))
def test_exactly_what_is_copied_gets_in(
    make_lock: Callable[[Spec], Lock], copies: list[str], more: list[str]
) -> None:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {"serve": {"copy": copies}},
    }
    spec = parse_spec(document, file="envgen.toml")
    plan = make_plan(spec, make_lock(spec), spec_file="envgen.toml")
    files = {file.path: file.content.decode() for file in render(plan)}
    ignore = files["environments/serve/Dockerfile.dockerignore"]
    runtime = {path for path in files if path.startswith("environments/serve/runtime/")}

    inside = {str(PurePosixPath(path)) for path in copies}
    below = {f"{path}/sub/x.py" for path in inside}
    hidden = {f"{path}/{name}" for path in inside for name in HIDDEN}
    beside = {f"{path}x" for path in inside} | {f"x{path}" for path in inside}
    for path in inside | below | beside | {*OWN, *OUTSIDE, *more} | runtime:
        here = PurePosixPath(path)
        wanted = any(str(p) in inside for p in (here, *here.parents)) and not any(
            word in HIDDEN_PARTS or word.endswith(".pyc") for word in here.parts
        )
        assert let_in(ignore, str(here)) == (wanted or path in OWN | runtime), path
    for path in hidden:
        assert not let_in(ignore, path)


HIDDEN_PARTS = {".git", ".env", "__pycache__"}
