"""Refresh presets/data/cuda/gpus.toml from NVIDIA's list of GPUs and their compute capabilities.

    python generator/bin/update_cuda_gpus.py            # shows the difference
    python generator/bin/update_cuda_gpus.py --page FILE --write

The list is a table: a row for each compute capability, a column for each product line, the models
of a cell one below the other. Models that the file has stay as they are; a model that NVIDIA lists
with another capability than the file stops the refresh.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from envgen.cuda.gpus import split_name
from envgen.cuda.host import Category
from envgen.cuda.refresh import download, replace_rows, update
from envgen.cuda.tables import FOLDER, GpuModel, tables

FILE: Final = "gpus.toml"
PAGE: Final = "https://developer.nvidia.com/cuda-gpus"
SOURCE: Final = "developer.nvidia.com/cuda-gpus"
_COLUMNS: Final[tuple[tuple[str, Category], ...]] = (
    ("data center", "datacenter"),
    ("jetson", "jetson"),
    ("workstation", "workstation"),
    ("geforce", "geforce"),
)
_VENDOR: Final = re.compile(r"^(?:NVIDIA|Tesla)\s+|[®™]")


class _Cells(HTMLParser):
    """The cells of a page's tables, row by row, each with the lines in it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append([])

    def handle_data(self, data: str) -> None:
        text = data.strip()
        if text and self.rows and self.rows[-1]:
            self.rows[-1][-1].append(text)


def parse_page(page: str) -> tuple[GpuModel, ...]:
    """Return the models of a page, from its first row of headings on."""
    cells = _Cells()
    cells.feed(page)
    categories: list[Category | None] = []
    found: list[GpuModel] = []
    for row in cells.rows:
        texts = [" ".join(cell) for cell in row]
        capability = re.fullmatch(r"\d+\.\d", texts[0]) if texts else None
        if capability is None:
            categories = [_category(text) for text in texts]
            continue
        for category, models in zip(categories[1:], row[1:], strict=False):
            found += [_model(name, texts[0], category) for name in models if category]
    return tuple(found)


def _category(heading: str) -> Category | None:
    return next((line for word, line in _COLUMNS if word in heading.lower()), None)


def _model(name: str, capability: str, category: Category) -> GpuModel:
    plain = _VENDOR.sub("", _VENDOR.sub("", name)).strip()
    titan = "titan" in plain.lower()
    geforce = plain.startswith(("GeForce", "GTX"))
    line: Category = "titan" if titan else "geforce" if geforce else category
    return GpuModel(name=plain, capability=capability, category=line, source=SOURCE, verified=True)


def merge(
    rows: Iterable[GpuModel], found: Iterable[GpuModel]
) -> tuple[tuple[GpuModel, ...], list[str]]:
    """Return the rows with the models that are new, first, and what contradicts a row."""
    known = {split_name(row.name): row for row in rows}
    new = [row for row in found if split_name(row.name) not in known]
    contradictions = [
        f"{row.name} is listed with {row.capability}, the file has {known[name].capability}"
        for row in found
        if (name := split_name(row.name)) in known and known[name].capability != row.capability
    ]
    return (*new, *known.values()), contradictions


def main() -> int:
    """Show what changed, or write it; 1 where the page names no model or contradicts the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--page", type=Path, help="the page as it was saved")
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    page = arguments.page.read_text("utf-8") if arguments.page else download(PAGE)
    found = parse_page(page)
    rows, contradictions = merge(tables().gpus, found)
    if contradictions or not found:
        print("\n".join(contradictions) or "the page names no GPU", file=sys.stderr)
        return 1
    text = replace_rows((FOLDER / FILE).read_text("utf-8"), "gpu", rows)
    sys.stdout.write(update(FILE, text, write=arguments.write))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
