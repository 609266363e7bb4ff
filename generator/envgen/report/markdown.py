"""The report as Markdown, for job summaries and pull requests."""

from collections.abc import Iterator

from envgen.report.model import ImageReport, Report


def write_markdown(report: Report) -> str:
    """Return the report; details are folded where the reader's Markdown can do that."""
    lines = [f"## {report.project}", ""]
    for image in report.images:
        lines += _describe(image, report.revision)
    return "\n".join(lines).rstrip() + "\n"


def size_text(size: int) -> str:
    """Return bytes in the unit that people think in; decimal, as registries count."""
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"


def _describe(image: ImageReport, revision: str) -> Iterator[str]:
    yield f"### `{image.name}`: {size_text(image.download_bytes)} of packages on `{image.base}`"
    yield ""
    if image.change is not None:
        yield f"Since `{revision}`: {_count(len(image.change.packages), 'package')} changed."
        yield ""
    yield "| layer | packages | download | heaviest |"
    yield "|---|---|---|---|"
    for layer in image.layers:
        heaviest = ", ".join(f"{p.name} {p.version}" for p in layer.packages[:3])
        size = size_text(layer.download_bytes)
        yield f"| `{layer.name}` | {len(layer.packages)} | {size} | {_cell(heaviest)} |"
    yield ""
    if image.gpus:
        yield "| GPU | | driver |"
        yield "|---|---|---|"
        for answer in image.gpus:
            yield f"| {_cell(answer.gpu)} | {answer.outcome} | {_cell(answer.detail)} |"
        yield ""
    yield "<details><summary>Decisions</summary>"
    yield ""
    yield "| what | choice | because |"
    yield "|---|---|---|"
    for decision in image.decisions:
        cells = (decision.about, f"`{decision.choice}`", decision.reason)
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""
    yield "</details>"
    yield ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
