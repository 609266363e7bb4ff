"""Where an index has the files of pinned packages, and how large they are: uv is asked.

A poetry.lock has the name and the hash of every file and no address.
"""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from envgen import process
from envgen.lockers import LockRequest
from envgen.lockers.uv_program import explain_failure, uv_command

_TIMEOUT_S: Final = 900


class Place(NamedTuple):
    """A file on an index; `size` is None where the index does not say."""

    url: str
    size: int | None


Places = Mapping[str, Place]
"""Files by their SHA-256."""


class IndexFiles:
    """`uv pip compile` of pins, in a folder of its own.

    Args:
        request: For whose Python it asks.
        pins: PEP 508 requirements, each on one version.
        folder: Its own; made where it is not there.
        env: uv's settings.

    """

    def __init__(
        self, request: LockRequest, pins: Iterable[str], folder: Path, env: Mapping[str, str]
    ) -> None:
        self._image = request.image
        self._folder = folder
        self._env = env
        folder.mkdir(exist_ok=True)
        (folder / "pins.txt").write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
        command = uv_command(env, "pip", "compile", "pins.txt", "--output-file=pylock.toml")
        command += ["--no-deps", "--universal", "--quiet", "--no-header", "--no-annotate"]
        self._command = [
            *command,
            f"--python-version={request.python}",
            f"--python={sys.executable}",
        ]

    def recall(self) -> Places:
        """Return what uv's cache has; nothing where it does not know all pins."""
        return {} if self._run("--offline").returncode else self._read()

    def find(self) -> Places:
        """Return what the index has.

        Raises:
            LockError: It does not have a version.
            NetworkError: It did not answer.
            ToolError: uv failed for a reason of its own.

        """
        done = self._run()
        if done.returncode:
            raise explain_failure(self._image, done.stderr)
        return self._read()

    def _run(self, *options: str) -> process.Finished:
        return process.run(
            [*self._command, *options], cwd=self._folder, env=self._env, timeout_s=_TIMEOUT_S
        )

    def _read(self) -> Places:
        text = (self._folder / "pylock.toml").read_text(encoding="utf-8")
        files = (
            file for entry in tomllib.loads(text).get("packages", ()) for file in _files(entry)
        )
        return {
            file["hashes"]["sha256"]: Place(file.get("url", ""), file.get("size"))
            for file in files
            if "sha256" in file.get("hashes", {})
        }


def _files(package: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield from package.get("wheels", ())
    if "sdist" in package:
        yield package["sdist"]
