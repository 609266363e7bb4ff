"""docs/tutorial.md to its end: the image is built, turns healthy and answers."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import tomli_w
from tests.integration.tutorial import read_blocks, run_blocks

if TYPE_CHECKING:
    from pathlib import Path


def test_the_tutorial_ends_with_a_healthy_container(
    tmp_path: Path,
    engine: Any,
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,  # noqa: ARG001 - it skips
) -> None:
    # Names and a port that collide with nobody's.
    name, port = f"flowers-{uuid4().hex[:8]}", find_port()
    blocks = [
        text.replace("flowers", name).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        for text in read_blocks(container=True)
    ]
    # What a reader behind a proxy adds, before the table to which the page appends.
    network = tomli_w.dumps(
        {"network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors}}
    )
    first = next(number for number, text in enumerate(blocks) if "envgen init" in text)
    blocks.insert(
        first + 1,
        f"cp {shlex.quote(str(ca_bundle))} corp.pem\n"
        "python - <<'END'\nfrom pathlib import Path\n"
        "spec = Path('envgen.toml')\n"
        f"spec.write_text(spec.read_text().replace('[images', {network!r} + '[images', 1))\nEND\n",
    )
    engine.own_image(f"{name}-serve")
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(remove, name)
        done = run_blocks(tmp_path, blocks)
    assert done.returncode == 0, done.stdout
    assert "\nhealthy\n" in done.stdout
    assert '"setosa"' in done.stdout


def find_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def remove(name: str) -> None:
    """Remove the container of a run that has failed before the page does it."""
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
