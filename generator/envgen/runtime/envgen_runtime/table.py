"""Tables for people: on a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

TEXT, MARKDOWN, JSON = "text", "markdown", "json"
FORMATS = (TEXT, MARKDOWN, JSON)


def draw(head: Sequence[str], rows: Sequence[Sequence[str]], form: str = TEXT) -> str:
    """Return a table in one of the first two FORMATS; columns are as wide as they need to be."""
    if form == MARKDOWN:
        lines = [head, ["---"] * len(head), *rows]
        return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in lines)
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in [head, *rows]
    )


def _escape(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())
