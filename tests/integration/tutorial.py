"""The commands of docs/tutorial.md, in order, as one script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
_BLOCK = re.compile(
    r"^<!-- tutorial(: container)? -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def read_blocks(*, container: bool) -> list[str]:
    """Return the page's marked blocks, with those that need an engine or without."""
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [text for needs_engine, text in blocks if container or not needs_engine]


def run_blocks(folder: Path, blocks: list[str]) -> subprocess.CompletedProcess[str]:
    """Run blocks in one shell, as a reader does, with nothing but this Python on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENVGEN_")}
    for name in ("VIRTUAL_ENV", "PYTHONPATH"):
        kept.pop(name, None)
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(Path(sys.base_prefix, "bin", "python3"))
    path = os.pathsep.join([str(folder / "bin"), kept["PATH"]])
    home = folder / "home"
    home.mkdir()
    return subprocess.run(
        ["sh", "-eux", "-c", "\n".join(blocks)],
        cwd=home,
        env=kept | {"PATH": path, "ENVGEN": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
