"""From what was found to the text of a spec."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from envgen.adopt.found import Found
from envgen.adopt.python import choose_python
from envgen.rendered import quote_toml
from envgen.spec.forms import check_project_name
from envgen.spec.model import EPOCHS, FORMAT

_DEFAULT_LOCKER: Final = "uv"
SCHEMA_FILE: Final = "envgen.schema.json"


def write_spec(found: Found, *, folder: str, image: str) -> str:
    """Return the text of an envgen.toml.

    Args:
        found: What goes into it.
        folder: The name of its folder, for a project that no file gives a name.
        image: The name of its image.

    """
    origin = f" from {' and '.join(found.sources)}" if found.sources else ""
    lines = [
        f"#:schema ./{SCHEMA_FILE}",
        f"# Written by `envgen init`{origin}. It is yours: edit it as you like.",
        f"format = {FORMAT}",
        f"epoch = {_quote(EPOCHS[-1])}",
        "",
        "[project]",
        f"name = {_quote(name_project(found.name, folder))}",
        f"python = {_quote(choose_python(found.python)[0])}",
        *_dependencies(found),
        "",
        *_image(found, f"images.{image}"),
    ]
    if found.index:
        lines += ["", "[network]", f"index = {_quote(found.index)}"]
    return "\n".join(lines) + "\n"


def write_table(found: Found, *, image: str) -> str:
    """Return a `[tool.envgen]` for the pyproject.toml that was read."""
    lines = ["[tool.envgen]", f"format = {FORMAT}", f"epoch = {_quote(EPOCHS[-1])}", ""]
    own = list(_own_project(found))
    lines += ["[tool.envgen.project]", *own, ""] if own else []
    lines += _image(found, f"tool.envgen.images.{image}")
    if found.index:
        lines += ["", "[tool.envgen.network]", f"index = {_quote(found.index)}"]
    return "\n".join(lines) + "\n"


def _own_project(found: Found) -> Iterator[str]:
    """Yield what `[project]` says in a way that a spec cannot take."""
    if check_project_name(found.name):
        yield f"name = {_quote(name_project(found.name, ''))}"
    python, trouble = choose_python(found.python)
    if trouble:
        yield f"python = {_quote(python)}"
    if found.own_dependencies:
        yield from _dependencies(found) if found.dependencies else ["dependencies = []"]


def name_project(name: str, folder: str) -> str:
    """Return a name that a spec takes, from what a file or the folder is called."""
    for text in (name, folder):
        if text and check_project_name(text) is None:
            return text
        plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
        if plain:
            return plain
    return "my-project"


def _dependencies(found: Found) -> Iterator[str]:
    if not (found.dependencies or found.pins):
        return
    yield "dependencies = ["
    yield from _rows(found.dependencies)
    if found.pins:
        yield "    # What the above need, at the versions of the lock. envgen's own lock pins them,"
        yield "    # too: take out what you do not want to hold."
        yield from _rows(found.pins)
    yield "]"


def _rows(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield f"    {_quote(text)},"


def _image(found: Found, table: str) -> list[str]:
    lines = [f"[{table}]"]
    if found.preset:
        lines.append(f"preset = {_quote(found.preset)}")
    if found.locker != _DEFAULT_LOCKER:
        lines.append(f"locker = {_quote(found.locker)}")
    if found.channels:
        lines.append(f"channels = [{', '.join(map(_quote, found.channels))}]")
    if found.conda:
        lines += ["conda = [", *_rows(found.conda), "]"]
    if found.gpu:
        lines.append(f"gpu = {{ cuda = {_quote(found.cuda or 'auto')} }}")
    if found.env:
        pairs = ", ".join(f"{name} = {_quote(value)}" for name, value in found.env.items())
        lines.append(f"env = {{ {pairs} }}")
    if found.copy is not None:
        lines.append(f"copy = [{', '.join(map(_quote, found.copy))}]")
    if found.command:
        lines.append(f"command = [{', '.join(map(_quote, found.command))}]")
    if found.port:
        lines.append(f"port = {found.port}")
    return lines


def _quote(text: str) -> str:
    """Return a TOML string, a literal one where that spares escapes."""
    if '"' in text and text.isprintable() and "'" not in text:
        return f"'{text}'"
    return quote_toml(text)
