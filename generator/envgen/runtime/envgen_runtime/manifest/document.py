"""The document: a file that is whole at every moment, whatever happens to the process."""

from __future__ import annotations

import datetime as dt
import json
import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1
RUNNING, ENDED = "running", "ended"


def missing(reason: str) -> dict[str, str]:
    """Return what stands for a fact that is not known."""
    return {"missing": reason}


def now() -> str:
    """Return the time in UTC, as RFC 3339 has it, to the millisecond."""
    moment = dt.datetime.now(dt.timezone.utc)  # noqa: UP017 dt.UTC is newer than Python 3.9
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def claim(wanted: str) -> str:
    """Return the path of a new and empty file; the record of an earlier run is never overwritten.

    `run.json` that exists makes it `run.2.json`. Where the folder cannot be written, as the
    application's in an image, the folder for temporary files is taken.

    Raises:
        OSError: Neither folder can be written.

    """
    try:
        return _claim(wanted)
    except OSError:
        temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the name is claimed with O_EXCL
        return _claim(os.path.join(temporary, os.path.basename(wanted)))


def _claim(wanted: str) -> str:
    stem, extension = os.path.splitext(os.path.abspath(wanted))
    number = 1
    while True:
        path = f"{stem}{extension}" if number == 1 else f"{stem}.{number}{extension}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            number += 1
        else:
            return path


def write(path: str, document: dict[str, Any]) -> str:
    """Replace the file at once. Return why it could not be: it then is what it was before."""
    staged = f"{path}.part"
    try:
        with open(staged, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(staged)
        return error.strerror or str(error)
    return ""
