"""Tools that cannot live in one environment with envgen or with each other: each gets its own.

Such an environment is made by uv from the tool's hash-locked requirements (presets/data/tools/,
written by generator/bin/update_tool_locks.py), once per user, and kept in the user's cache.
"""

import csv
import functools
import hashlib
import logging
import os
import platform
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from envgen import process
from envgen.errors import NetworkError, StorageError, ToolError
from envgen.lockers.uv_program import explain_failure, find_uv, uv_environment
from envgen.resources import PRESETS

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 600
_BIN: Final = "Scripts" if os.name == "nt" else "bin"
_one_at_a_time: Final = threading.Lock()


def ensure_tool(name: str, *, index: str = "", ca_certificates: Path | None = None) -> Path:
    """Return the folder with a tool's programs, whose environment is made if it is not there.

    Safe for threads and for several processes at once: an environment appears under its name only
    when it is whole, and one that has lost files is replaced.

    Args:
        name: The tool, which has a file `<name>.txt` in presets/data/tools/.
        index: The package index to install from; empty for uv's default.
        ca_certificates: A PEM bundle for networks that inspect TLS.

    Raises:
        NetworkError: The index did not answer.
        StorageError: The user's cache cannot be written.
        ToolError: uv could not make the environment.

    """
    with _one_at_a_time:
        folder = tools_folder() / f"{name}-{_key(name)}"
        if not is_whole(folder):
            _log.info("making the environment of %s in %s", name, folder)
            try:
                _make(name, folder, uv_environment(index, ca_certificates))
            except OSError as error:
                raise StorageError.single(
                    f"the environment of {name} cannot be written to {folder.parent}",
                    why=error.strerror or str(error),
                    fix="make room there, or set XDG_CACHE_HOME to a folder that can be written",
                ) from error
        return folder / _BIN


def locked_version(name: str) -> str:
    """Return the version of a tool that its own environment has. Reads a file, starts nothing."""
    pinned = f"{name}=="
    for line in requirements_file(name).read_text(encoding="utf-8").splitlines():
        if line.startswith(pinned):
            return line.removeprefix(pinned).split()[0]
    raise ToolError.single(f"{requirements_file(name).name} does not pin {name}")


def requirements_file(name: str) -> Path:
    """Return the hash-locked requirements of a tool."""
    return PRESETS / "data" / "tools" / f"{name}.txt"


def tools_folder() -> Path:
    """Return where tools are kept: below the user's cache, as each platform has it."""
    home = Path.home()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = home / "Library" / "Caches"
    else:
        cache = home / ".cache"
    # The XDG specification: a path that is not absolute is to be ignored.
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else cache) / "envgen" / "tools"


def is_whole(folder: Path) -> bool:
    """Return whether an environment still has its Python and every file that was installed.

    Cleaners of caches delete single files that nobody has read for a while. A file's record has its
    size (Binary Distribution Format, "The .dist-info directory"), so a truncated one is found, too.
    """
    python = folder / _BIN / ("python.exe" if os.name == "nt" else "python")
    packages = "Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages"
    records = list(folder.glob(f"{packages}/*.dist-info/RECORD"))
    return python.exists() and bool(records) and all(map(_has_recorded_files, records))


def _has_recorded_files(record: Path) -> bool:
    root = os.fspath(record.parent.parent)
    try:
        with record.open(newline="", encoding="utf-8") as rows:
            return all(
                os.stat(os.path.join(root, path)).st_size == int(size or 0) or not size  # noqa: PTH116, PTH118 - thousands of files: pathlib takes twice as long
                for path, _, size in csv.reader(rows)
            )
    except (OSError, ValueError):
        return False


@functools.cache
def _key(name: str) -> str:
    """Return what distinguishes environments: pins, Python and machine (homes can be shared)."""
    parts = (
        requirements_file(name).read_bytes(),
        platform.python_implementation().encode(),
        platform.python_version().encode(),
        sys.platform.encode(),
        platform.machine().encode(),
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _make(name: str, folder: Path, env: dict[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        made = staging / "environment"
        _install(name, made, env)
        _put_in_place(made, folder, aside=staging / "replaced")
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _install(name: str, made: Path, env: dict[str, str]) -> None:
    # Relocatable, since it gets its name only when it is whole.
    venv = [find_uv(), "venv", "--relocatable", "--no-project", "--python", sys.executable]
    done = process.run([*venv, made], env=env, timeout_s=_TIMEOUT_S)
    if done.returncode == 0:
        install = [find_uv(), "pip", "install", "--require-hashes", "--no-build"]
        install += [f"--python={made}", f"--requirements={requirements_file(name)}"]
        # uv's cache first: it answers in a tenth of a second, and without a network.
        done = process.run([*install, "--offline"], env=env, timeout_s=_TIMEOUT_S)
        if done.returncode:
            done = process.run(install, env=env, timeout_s=_TIMEOUT_S)
    if done.returncode:
        explained = explain_failure(name, done.stderr)
        kind = NetworkError if isinstance(explained, NetworkError) else ToolError
        raise kind.single(
            f"the environment that {name} runs in cannot be made",
            why=explained.problems[0].why,
            fix=explained.problems[0].fix,
        )


def _put_in_place(made: Path, folder: Path, *, aside: Path) -> None:
    """Give an environment its name, unless another process was faster."""
    if folder.exists() and not is_whole(folder):
        folder.rename(aside)
    try:
        made.rename(folder)
    except OSError:
        if not is_whole(folder):
            raise
