"""A report draws sizes truly, and shows every text as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import MINIMAL

from envgen.plan.model import Decision
from envgen.report.markdown import size_text, write_markdown
from envgen.report.model import GpuAnswer, ImageReport, Report, WeighedLayer, WeighedPackage
from envgen.report.page import write_page
from envgen.report.treemap import Box, lay_out

if TYPE_CHECKING:
    from tests.conftest import Project

PLANE = Box(x=0, y=0, width=1000, height=420)
sizes = st.lists(st.floats(1, 1e10), min_size=1, max_size=40).map(
    lambda found: sorted(found, reverse=True)
)


@given(sizes)
def test_areas_are_as_the_sizes(given_sizes: list[float]) -> None:
    boxes = lay_out(given_sizes, PLANE)

    total = sum(given_sizes)
    for size, box in zip(given_sizes, boxes, strict=True):
        assert box.width * box.height == pytest.approx(size / total * 1000 * 420, rel=1e-6)


@given(sizes)
def test_boxes_stay_within_and_apart(given_sizes: list[float]) -> None:
    boxes = lay_out(given_sizes, PLANE)

    slack = 1e-3
    for n, box in enumerate(boxes):
        assert box.x >= -slack
        assert box.y >= -slack
        assert box.x + box.width <= 1000 + slack
        assert box.y + box.height <= 420 + slack
        for other in boxes[:n]:
            apart = (
                box.x + box.width <= other.x + slack
                or other.x + other.width <= box.x + slack
                or box.y + box.height <= other.y + slack
                or other.y + other.height <= box.y + slack
            )
            assert apart


def test_nothing_to_draw_is_nothing() -> None:
    assert lay_out([], PLANE) == ()


def report(text: str) -> Report:
    packages = tuple(
        WeighedPackage(name=f"p{n}", version=text, download_bytes=10**n) for n in range(8, 3, -1)
    )
    image = ImageReport(
        name="serve",
        base=text,
        digest="sha256:0",
        decisions=(Decision(about="base", choice=text, reason=text),),
        layers=(WeighedLayer(name="packages", packages=packages),),
        gpus=(GpuAnswer(gpu=text, outcome="runs", detail=text),),
    )
    return Report(project=text, revision="", images=(image,))


class Texts(HTMLParser):
    """Every piece of text and every tag of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the parser's
        self.tags.add(tag)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=30))
def test_every_text_is_shown_as_text(text: str) -> None:
    page = Texts()
    page.feed(write_page(report(text)))

    assert "script" not in page.tags
    assert page.texts.count(text) >= 4


def test_the_page_needs_nothing_else() -> None:
    page = write_page(report("x"))

    assert not re.search(r"""(?:src|href)=["'](?!#)|url\(|@import|<script""", page)


def test_small_packages_are_drawn_together() -> None:
    page = write_page(report("x"))

    assert "2 smaller packages" in page
    assert "p8" in page


def test_markdown_cells_hold_what_would_end_them() -> None:
    text = write_markdown(report("a|b"))

    row = next(line for line in text.splitlines() if line.startswith("| base |"))
    assert row == "| base | `a\\|b` | a\\|b |"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_300_000_000, "2.3 GB")]
)
def test_sizes_read_as_people_say_them(size: int, text: str) -> None:
    assert size_text(size) == text


class TestCommand:
    @pytest.fixture
    def locked(self, project: Project) -> Project:
        project.write(
            "envgen.toml", f'{MINIMAL}dependencies = ["torch", "numpy"]\ngpu.targets = ["H100"]\n'
        )
        assert project.render_offline().code == 0
        return project

    def test_html_is_written_and_written_again(self, locked: Project) -> None:
        target = str(locked.root / "report.html")
        for _ in range(2):
            outcome = locked.run("explain", "--html", target)
            assert outcome.code == 0, outcome.err
        assert "What it is made of" in locked.read("report.html")

    def test_a_page_of_somebody_elses_is_kept(self, locked: Project) -> None:
        locked.write("index.html", "<p>mine</p>")
        target = str(locked.root / "index.html")

        assert locked.run("explain", "--html", target).code == 7
        assert locked.read("index.html") == "<p>mine</p>"
        assert locked.run("explain", "--html", target, "--force").code == 0

    def test_markdown_tells_layers_and_decisions(self, locked: Project) -> None:
        outcome = locked.run("explain", "--format", "markdown")

        assert outcome.code == 0, outcome.err
        assert "| layer | packages | download | heaviest |" in outcome.out
        assert "| what | choice | because |" in outcome.out
