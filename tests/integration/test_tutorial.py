"""docs/tutorial.md up to the image, run as it is written; and the newcomer's shortest path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.integration.tutorial import PAGE, read_blocks, run_blocks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]


def test_every_block_of_commands_is_run() -> None:
    shown = re.findall(r"^```(?:sh|console|bash)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    run, first = read_blocks(container=True), read_blocks(container=False)
    assert len(run) == len(shown)
    assert run[: len(first)] == first, "what needs an engine comes last"


def test_the_commands_do_what_the_page_says(tmp_path: Path) -> None:
    done = run_blocks(tmp_path, read_blocks(container=False))
    assert done.returncode == 0, done.stdout
    assert "preset sklearn-serve, because of scikit-learn and fastapi" in done.stdout
    assert done.stdout.count("\nas it should:") == 2
    spec = (tmp_path / "home/flowers/envgen.toml").read_text(encoding="utf-8")
    assert '[images.serve]\npreset = "sklearn-serve"\nenv = {' in spec


def test_a_newcomer_needs_two_commands(tmp_path: Path) -> None:
    install = read_blocks(container=False)[0]
    asked = "mkdir new\ncd new\nprintf 'pandas>=2.2\\nscikit-learn\\n' > requirements.txt"
    done = run_blocks(
        tmp_path, [install, asked, "python -m envgen init", "python -m envgen render"]
    )
    assert done.returncode == 0, done.stdout
    dockerfile = tmp_path / "home/new/environments/app/Dockerfile"
    assert re.search(r"^FROM \S+@sha256:", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
