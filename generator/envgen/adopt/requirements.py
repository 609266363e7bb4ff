"""requirements.txt, as pip reads it: nested files, constraints, options, continued lines."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envgen.adopt.found import Gathering, read_text
from envgen.adopt.pip_lock import keep_lock_beside, read_locked, read_pip_lock

_COMMENT: Final = re.compile(r"(^|\s)#.*$")
_OPTION: Final = re.compile(r"(-[A-Za-z]|--[a-z][a-z-]*)(?:[=\s]\s*(.*))?$")
_TRAILING: Final = re.compile(r"\s+(--?[A-Za-z].*)$")
_SHORT: Final = {
    "-c": "--constraint",
    "-e": "--editable",
    "-f": "--find-links",
    "-i": "--index-url",
    "-r": "--requirement",
}
_LEFT: Final = {
    "--editable": (
        "an editable install points to a folder of this machine",
        "put the project's own code into the image with `copy`",
    ),
    "--find-links": (
        "it is a page of links, not an index with hashes",
        "take the package from the index, or set network.index to one that has it",
    ),
    "--no-index": ("a lock needs an index", "set network.index to a local one"),
    "--no-binary": (
        "images install wheels; source archives are built only where that is allowed",
        "name packages without a wheel in the image's `allow-source`",
    ),
    "--only-binary": ("images install wheels only as it is", ""),
    "--prefer-binary": ("images install wheels only as it is", ""),
    "--require-hashes": ("every file is installed by its hash as it is", ""),
    "--pre": (
        "pre-releases are taken only where a requirement names one",
        "name it, as 'torch>=2.10.0rc1'",
    ),
    "--trusted-host": (
        "an index without a valid certificate is not asked",
        "set network.ca-certificates to the CA's certificate",
    ),
}
_LOCAL_PATH: Final = re.compile(
    r"\.{0,2}[/\\]|~|[A-Za-z]:[/\\]|\.$|[^\s\[]+\.(?:whl|zip|tar\.gz)\b"
)
_DEEPEST: Final = 20


def read_requirements(gathering: Gathering) -> None:
    """Gather a requirements file and all that it names, or the lock that it is."""
    reader = _Reader(gathering)
    text = read_text(gathering.path)
    if pins := read_locked(text):
        read_pip_lock(gathering, text, pins)
        reader.take_options(text)
        return
    keep_lock_beside(gathering)
    reader.read(gathering.path, ())
    reader.apply_constraints()


def read_requirement_lines(gathering: Gathering, text: str, where: str) -> None:
    """Gather requirements that another file has between its own lines, options and all."""
    reader = _Reader(gathering)
    for _, line in join_lines(text):
        reader.take(line, _Place(where, gathering.path.parent))
    reader.apply_constraints()


def join_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that says something, continued ones joined."""
    started, parts = 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        started = started or number
        if line.endswith("\\") and not _COMMENT.match(line):
            parts.append(line[:-1])
            continue
        joined = _COMMENT.sub("", "".join([*parts, line])).strip()
        if joined:
            yield started, joined
        started, parts = 0, []


class _Place(NamedTuple):
    """Where a line stands: how to name it, what its paths start from, the files that led there."""

    where: str
    folder: Path
    above: tuple[Path, ...] = ()
    constrain: bool = False


class _Reader:
    def __init__(self, gathering: Gathering) -> None:
        self.gathering = gathering
        self.constraints: list[tuple[str, str]] = []

    def read(self, path: Path, above: tuple[Path, ...], *, constrain: bool = False) -> None:
        for number, line in join_lines(read_text(path)):
            where = f"{path.name}:{number}"
            if constrain and not line.startswith("-"):
                self.constraints.append((_TRAILING.sub("", line), where))
            else:
                self.take(line, _Place(where, path.parent, (*above, path.resolve()), constrain))

    def take_options(self, text: str) -> None:
        """Take the options of a text alone."""
        place = _Place(self.gathering.path.name, self.gathering.path.parent)
        for _, line in join_lines(text):
            if line.startswith("-"):
                self.take(line, place)

    def take(self, line: str, place: _Place) -> None:
        option = _OPTION.match(line)
        if option:
            name = _SHORT.get(option[1], option[1])
            self.take_option(name, (option[2] or "").strip(), line, place)
            return
        text, options = _split_options(line)
        for extra in options:
            self.take_requirement_option(extra, place.where)
        if "${" in text:
            self.gathering.leave(
                line,
                where=place.where,
                why="its value is an environment variable of another machine",
            )
        elif _LOCAL_PATH.match(text):
            self.gathering.leave(
                line,
                where=place.where,
                why="a path of this machine has no hash in an index",
                fix="publish it to an index, or put its files into the image with `copy`",
            )
        else:
            self.gathering.require(text, place.where)

    def take_option(self, name: str, value: str, line: str, place: _Place) -> None:
        match name:
            case "--requirement":
                self.include(value, place, constrain=place.constrain)
            case "--constraint":
                self.include(value, place, constrain=True)
            case "--index-url":
                self.gathering.use_index(value, place.where)
            case "--extra-index-url":
                self.gathering.leave_index(value, place.where)
            case _:
                why, fix = _LEFT.get(name, ("envgen does not know this option", ""))
                self.gathering.leave(line, where=place.where, why=why, fix=fix)

    def take_requirement_option(self, option: str, where: str) -> None:
        name, _, value = option.replace(" ", "=", 1).partition("=")
        name = _SHORT.get(name, name)
        if name == "--hash":
            self.gathering.leave(
                "hashes of files",
                where=where.partition(":")[0],
                why="the lock writes its own; the versions that they belong to were carried over",
            )
        elif name in {"--index-url", "--extra-index-url"}:
            self.gathering.leave_index(value, where)
        else:
            why, fix = _LEFT.get(name, ("a spec has no options for a single package", ""))
            self.gathering.leave(option, where=where, why=why, fix=fix)

    def include(self, name: str, place: _Place, *, constrain: bool) -> None:
        path, where, above = place.folder / name, place.where, place.above
        if "://" in name:
            why = "it is not on this machine, and another day it may say something else"
            self.gathering.leave(name, where=where, why=why, fix="download it and name the copy")
        elif path.resolve() in above or len(above) > _DEEPEST:
            self.gathering.leave(name, where=where, why="the files name each other in a circle")
        elif not path.is_file():
            self.gathering.leave(name, where=where, why="there is no such file")
        else:
            self.gathering.sources[path.name] = None
            self.read(path, above, constrain=constrain)

    def apply_constraints(self) -> None:
        """Carry constraints on required packages over; a spec has no place for the others."""
        required, others = self.gathering.names(), list[str]()
        for text, where in self.constraints:
            try:
                name = canonicalize_name(Requirement(text).name)
            except InvalidRequirement:
                self.gathering.leave(text, where=where, why="it is not a PEP 508 requirement")
                continue
            if name in required:
                self.gathering.require(text, where)
            else:
                others.append(text)
        self.gathering.leave_group(
            "constraints",
            others,
            why="nothing that is required has these names, and a spec has no constraints",
            fix="add those to `dependencies` whose version matters",
        )


def _split_options(line: str) -> tuple[str, list[str]]:
    """Return a requirement and its own options, as `--hash=…`."""
    found = _TRAILING.search(line)
    if not found:
        return line, []
    options = re.split(r"\s+(?=--?[A-Za-z])", found[1])
    return line[: found.start()], options
