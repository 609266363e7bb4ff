"""The documentation as a site: a strict build that needs no network, of pages that need none."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(http[^"]+)')


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    return folder


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    # A proxy that refuses: whatever asked for something would fail or be told.
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_page_is_built_and_loads_nothing_from_elsewhere(source: Path) -> None:
    done = build(source)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in (source / "docs").glob("*.md"):
        name = "index.html" if page.stem == "index" else f"{page.stem}/index.html"
        text = (source / ".site" / name).read_text(encoding="utf-8")
        assert LOADED.findall(text) == []


def test_a_broken_link_fails_the_build(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "broken")
    page = tmp_path / "broken" / "docs" / "index.md"
    page.write_text("[nowhere](nowhere.md)\n", encoding="utf-8")
    done = build(tmp_path / "broken")
    assert done.returncode != 0
    assert "page does not exist" in done.stderr
