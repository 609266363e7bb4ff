"""Hyper-parameters: from files, from the command line, or told by the program."""

from __future__ import annotations

import hashlib
import json
import os

from envgen_runtime.manifest.document import missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 1 << 20  # bytes of a file that is recorded whole


def read_parameters(arguments: list[str], files: list[str]) -> dict[str, Any]:
    """Return the arguments of the command, and each file with its hash and what it holds."""
    found: dict[str, Any] = {"arguments": arguments}
    if files:
        found["files"] = [_read_file(path) for path in files]
    return found


def _read_file(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        return {"path": path, "content": missing(error.strerror or str(error))}
    if len(content) > _LARGEST:
        return {"path": path, "content": missing(f"it is larger than {_LARGEST} bytes")}
    described: dict[str, Any] = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        described["content"] = _parse(os.path.splitext(path)[1], content.decode("utf-8"))
    except ValueError as error:
        described["content"] = missing(str(error))
    return described


def _parse(extension: str, text: str) -> object:
    if extension == ".json":
        return json.loads(text)
    if extension == ".toml":
        try:
            import tomllib
        except ImportError:
            return missing("TOML is read from Python 3.11 on")
        # Dates of TOML are no JSON; their text is.
        return json.loads(json.dumps(tomllib.loads(text), default=str))
    return text
