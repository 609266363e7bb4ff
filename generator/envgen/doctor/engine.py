"""What the container engine of this machine knows of an image."""

import shutil
from collections.abc import Callable
from typing import Final

import msgspec

from envgen.errors import ToolError
from envgen.process import Finished, run

_PROGRAMS: Final = ("docker", "podman")
_TIMEOUT_S: Final = 10.0


def read_environment(reference: str, start: Callable[..., Finished] = run) -> dict[str, str] | None:
    """Return the variables of an image that the local engine has; None where none has it.

    Args:
        reference: The image, as its user names it.
        start: How a program is run.

    """
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            continue
        command = [program, "image", "inspect", "--format", "{{json .Config.Env}}", reference]
        try:
            done = start(command, timeout_s=_TIMEOUT_S)
        except ToolError:  # the engine hangs, as one that is starting does
            continue
        if done.returncode == 0:
            return split_variables(msgspec.json.decode(done.stdout, type=list[str] | None) or [])
    return None


def split_variables(entries: list[str]) -> dict[str, str]:
    """Return `NAME=value` entries by name."""
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}
