"""The engine that fills templates, set up in one way: what is undefined is an error."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minijinja import Environment


def open_templates(
    folder: Path, filters: Mapping[str, Callable[..., Any]], *, escape: bool = False
) -> Environment:
    """Return the templates of a folder.

    Args:
        folder: Where they and what they include are.
        filters: By the names that templates use.
        escape: Whether values are escaped for HTML.

    """
    made = Environment(
        loader=lambda name: (folder / name).read_text(encoding="utf-8"),
        undefined_behavior="strict",
        auto_escape_callback=lambda _: escape,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, function in filters.items():
        made.add_filter(name, function)
    return made
