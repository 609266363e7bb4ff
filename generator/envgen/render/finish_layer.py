"""Finish a layer of an image: leave out, compile, and give every file one time.

    python -B layer.py /out [--drop PATTERN] … [-- uv pip install …]

It runs in a stage of the image's build, where nothing of envgen is, with the image's own Python
and PYTHONHASHSEED=0. The bytes it writes depend on the files alone: not on their order, the number
of processors or the clock.
"""
# A Path for each of tens of thousands of files takes as long as the work.
# ruff: noqa: PTH101,PTH103,PTH106,PTH108,PTH116,PTH118,PTH119,PTH120,PTH123,PTH208

from __future__ import annotations

import argparse
import fnmatch
import importlib.util
import marshal
import os
import subprocess
import sys
import types
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKED_HASH = 0b11
"""The flags of a .pyc that is compared with its source by content (PEP 552)."""


def main(arguments: list[str]) -> int:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    arguments, install = arguments[:at], arguments[at + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("root", help="what becomes the layer")
    parser.add_argument("--drop", action="append", default=[], help="files to leave out")
    options = parser.parse_args(arguments)
    root = options.root
    if install:
        os.makedirs(root, exist_ok=True)
        subprocess.run(install, check=True)  # noqa: TID251 - envgen is not there
    settle_conflicts(root, install)
    if options.drop:
        drop_files(root, options.drop)
    for path in list_files(root):
        # What uv holds while it installs.
        if os.path.basename(path) == ".lock":
            os.unlink(path)
    compile_files(root)
    set_times(root, int(os.environ["SOURCE_DATE_EPOCH"]))
    return 0


def list_files(root: str) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder, name)


def drop_files(root: str, patterns: list[str]) -> None:
    """Remove what matches, its rows in RECORD, and folders that are empty then."""
    gone = set()
    for path in list(list_files(root)):
        inner = os.path.relpath(path, root)
        if any(fnmatch.fnmatchcase(inner, pattern) for pattern in patterns):
            os.unlink(path)
            gone.add(os.path.normpath(path))
    for folder, _, _ in os.walk(root, topdown=False):
        if not os.listdir(folder) and any(path.startswith(folder + os.sep) for path in gone):
            os.rmdir(folder)
    for record in find_records(root):
        rows = [row for row in read_record(record) if row[1] not in gone]
        with open(record, "w", encoding="utf-8") as file:
            file.writelines(row[0] for row in rows)


def find_records(root: str) -> Iterator[str]:
    for path in list_files(root):
        if path.endswith(".dist-info" + os.sep + "RECORD"):
            yield path


def read_record(record: str) -> list[tuple[str, str, str]]:
    """Return the lines of a RECORD, each with the file it is about and that file's hash."""
    import csv  # noqa: PLC0415 - most layers drop nothing

    base = os.path.dirname(os.path.dirname(record))
    with open(record, encoding="utf-8", newline="") as file:
        lines = file.readlines()
    rows = zip(lines, csv.reader(lines), strict=True)
    return [
        (line, os.path.normpath(os.path.join(base, row[0])), row[1] if len(row) > 1 else "")
        for line, row in rows
        if row
    ]


def settle_conflicts(root: str, install: list[str]) -> None:
    """Let the last package by name win where several bring one file with different bytes.

    uv installs wheels side by side, so otherwise the last one to finish wins. Installing the
    winners again, one after the other, puts their files back.
    """
    claims: dict[str, dict[str, str]] = {}
    for record in find_records(root):
        package = os.path.basename(os.path.dirname(record)).split("-")[0]
        for _, path, digest in read_record(record):
            if digest:
                claims.setdefault(path, {})[package] = digest
    conflicts = {path: found for path, found in claims.items() if len(set(found.values())) > 1}
    for path, found in sorted(conflicts.items()):
        others = ", ".join(sorted(found)[:-1])
        sys.stderr.write(f"warning: {path} is {max(found)}'s, and not that of {others}\n")
    if install:
        for package in sorted({max(found) for found in conflicts.values()}):
            again = [*install, "--reinstall-package=" + package]
            subprocess.run(again, check=True)  # noqa: TID251 - envgen is not there


def compile_files(root: str) -> None:
    """Write the bytecode of every source that this Python can compile; the rest stays as it is.

    One process for each processor: a pool of multiprocessing's wants semaphores, which not every
    builder's containers have.
    """
    sources = [path for path in list_files(root) if path.endswith(".py")]
    # By size, so that every process gets its share of the large ones.
    sources.sort(key=os.path.getsize, reverse=True)
    count = len(os.sched_getaffinity(0))
    workers = [fork(root, sources[number::count]) for number in range(count)]
    if any(os.waitpid(worker, 0)[1] for worker in workers):
        sys.exit("bytecode could not be written")


def fork(root: str, sources: list[str]) -> int:
    """Start a process that compiles, and return its number."""
    worker = os.fork()
    if worker:
        return worker
    status = 1
    try:
        for path in sources:
            write_bytecode(root, path)
        status = 0
    finally:
        os._exit(status)


def write_bytecode(root: str, path: str) -> None:
    with open(path, "rb") as file:
        source = file.read()
    code = compile_source(source, os.sep + os.path.relpath(path, root))
    if code is None:
        return
    flags = CHECKED_HASH.to_bytes(4, "little")
    head = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source)
    target = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(head + code)
    os.chmod(target, os.stat(path).st_mode & 0o666)


def compile_source(source: bytes, name: str) -> bytes | None:
    """Return marshalled code that depends on nothing but its source; None where it has errors.

    Two things in CPython depend on which strings the process has interned before
    (python/cpython#129724). marshal marks an object as shared when it has more than one reference,
    so here everything it may mark has another one. And the compiler makes a set of constants anew
    when one of them was interned already, so a source with such sets is compiled again while the
    strings of the first time are there.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, name, "exec", dont_inherit=True, optimize=0)
            held = list(walk(code))
            if any(isinstance(value, frozenset) for value in held):
                code = compile(source, name, "exec", dont_inherit=True, optimize=0)
                held += walk(code)
    # Templates, tests for errors, other Pythons' syntax; the last two are for absurd nesting.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return marshal.dumps(code)


def walk(code: types.CodeType) -> Iterator[object]:
    """Yield every string, number, tuple and set that code consists of."""
    stack: list[object] = [code]
    while stack:
        value = stack.pop()
        if isinstance(value, types.CodeType):
            stack += [value.co_consts, value.co_names, value.co_varnames]
            stack += [value.co_freevars, value.co_cellvars, value.co_name, value.co_filename]
            stack.append(getattr(value, "co_qualname", None))
            continue
        yield value
        if isinstance(value, (tuple, frozenset)):
            stack += value


def set_times(root: str, seconds: int) -> None:
    for folder, folders, names in os.walk(root, topdown=False):
        for name in folders + names:
            os.utime(os.path.join(folder, name), (seconds, seconds), follow_symlinks=False)
    os.utime(root, (seconds, seconds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
