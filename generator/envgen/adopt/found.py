"""What a dependency file says, gathered: what a spec can say too, and what it cannot."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envgen.errors import SpecError, StorageError
from envgen.lockers import load_locker
from envgen.process import redact
from envgen.spec.forms import check_index_url, check_requirement, check_text, check_variable_name

_BYTE_ORDER_MARKS: Final = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
_LOCAL: Final = re.compile(r"(?<=[0-9a-z])\+[A-Za-z0-9._-]+")
_NOT_NEEDED: Final = {"pip": "the image is built without pip, and nothing in it installs"}


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not carried over.

    Attributes:
        what: What it is, as the file has it.
        where: The file, with the line where that is known.
        why: Why it was not carried over.
        fix: What its owner can do; empty where there is nothing to do.

    """

    what: str
    where: str
    why: str
    fix: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was read.

    Attributes:
        sources: The files, the one that was asked for first.
        name: The project's name; empty where no file says it.
        python: A version or a range of versions (PEP 440); empty where no file says it.
        dependencies: PEP 508 requirements, each once.
        pins: Exact requirements of a lock on packages that others in it need.
        locker: What locks the image.
        conda: MatchSpecs of what conda installs.
        channels: Conda's channels, the one that wins first.
        index: The package index; empty for PyPI.
        env: Environment variables.
        gpu: Whether a file says that a GPU is needed.
        cuda: The CUDA that a file names for it, where the locker has to know one; else empty.
        lock: An existing lock of the locker, whose pins are kept where they fit; empty for none.
        native: The file name under which the locker looks for that lock.
        table: Whether the spec goes into the pyproject.toml that was read, which has the
            dependencies already.
        own_dependencies: Whether that spec needs a list of its own, because it cannot take all of
            those.
        preset: The preset to start from; empty for none.
        copy: Files and folders that go into the image, where the preset's are not meant.
        command: What the container runs, where the preset's is not meant.
        port: The port that the program listens on; 0 for none.
        left: What was not carried over.

    """

    sources: tuple[str, ...]
    name: str = ""
    python: str = ""
    dependencies: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    locker: str = "uv"
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    index: str = ""
    env: dict[str, str] = {}
    gpu: bool = False
    cuda: str = ""
    lock: bytes = b""
    native: str = ""
    table: bool = False
    own_dependencies: bool = False
    preset: str = ""
    copy: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    port: int = 0
    left: tuple[Left, ...] = ()


class Gathering:
    """Takes what readers find in a file and keeps what cannot be carried over.

    Args:
        path: The file.
        locker: What shall lock the image; empty for what suits the file.

    """

    def __init__(self, path: Path, locker: str = "") -> None:
        self.path = path
        self.locker = locker
        self.conda: dict[str, None] = {}
        self.channels: dict[str, None] = {}
        self.sources: dict[str, None] = {path.name: None}
        self.name = ""
        self.python = ""
        self.requirements: dict[str, None] = {}
        self.pins: dict[str, None] = {}
        self.index = ""
        self.env: dict[str, str] = {}
        self.gpu = False
        self.cuda = ""
        self.lock = b""
        self.native = ""
        self.table = False
        self.own_dependencies = False
        self.command: tuple[str, ...] = ()
        self.port = 0
        self.left: list[Left] = []

    def finish(self) -> Found:
        """Return what was gathered."""
        return Found(
            sources=tuple(self.sources),
            name=self.name,
            python=self.python,
            dependencies=tuple(self.requirements),
            pins=tuple(pin for pin in self.pins if pin not in self.requirements),
            locker=self.locker or "uv",
            conda=tuple(self.conda),
            channels=tuple(self.channels),
            index=self.index,
            env=self.env,
            gpu=self.gpu,
            cuda=self.cuda,
            lock=self.lock,
            native=self.native,
            table=self.table,
            own_dependencies=self.own_dependencies,
            command=self.command,
            port=self.port,
            left=tuple(self.left),
        )

    def keep_lock(self, path: Path, locker: str) -> bool:
        """Keep a lock for the locker that wrote it, and return whether that locker is the one."""
        self.locker = self.locker or locker
        if self.locker != locker:
            return False
        self.sources[path.name] = None
        self.lock, self.native = path.read_bytes(), load_locker(locker).NATIVE
        return True

    def leave(self, what: str, *, why: str, fix: str = "", where: str = "") -> None:
        """Keep something for the list of what was not carried over."""
        left = Left(what=redact(what), where=where or self.path.name, why=why, fix=redact(fix))
        if left not in self.left:
            self.left.append(left)

    def leave_group(self, what: str, names: Iterable[str], *, why: str, fix: str = "") -> None:
        """Keep something with the names of the packages in it, if there are any."""
        listed = ", ".join(names)
        if listed:
            self.leave(f"{what}: {listed}", why=why, fix=fix)

    def leave_for_development(self, what: str, names: Iterable[str]) -> None:
        """Keep a group of packages that the project does not need to run."""
        self.leave_group(
            what,
            names,
            why="an image gets what the project needs to run",
            fix="add what an image needs to its `dependencies`",
        )

    def leave_extras(self, names: Iterable[str]) -> None:
        """Keep the extras of a project whose packages are not named by them any more."""
        self.leave_group(
            "extras",
            names,
            why="which of them an image needs, only its owner knows",
            fix="add the packages that it needs to `dependencies`",
        )

    def leave_elsewhere(self, what: str, where: str = "") -> None:
        """Keep a package that is on no index."""
        self.leave(
            what,
            where=where,
            why="what a URL, a repository or a folder serves has no hash in an index",
            fix="name a version that is on an index, or put the files into the image (`copy`)",
        )

    def require(self, text: str, where: str = "", *, pin: bool = False) -> None:
        """Carry a requirement over, or keep why not."""
        text = " ".join(text.split())
        carried = self._carry(text, where)
        if carried:
            (self.pins if pin else self.requirements)[carried] = None

    def _carry(self, text: str, where: str) -> str:
        if "://" in text or re.search(r"\s@\s", text):
            self.leave_elsewhere(text, where)
            return ""
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            why = str(error).splitlines()[0]
            self.leave(text, where=where, why=f"it is not a PEP 508 requirement: {why}")
            return ""
        useless = _NOT_NEEDED.get(canonicalize_name(requirement.name))
        if useless:
            self.leave(text, where=where, why=useless)
            return ""
        return self._check(self._without_build(requirement, text, where), where)

    def _without_build(self, requirement: Requirement, text: str, where: str) -> str:
        """Return the text without local versions (`+cu118`), which PyPI does not have."""
        builds = [s for s in requirement.specifier if "+" in s.version]
        if not builds:
            return text
        for found in builds:
            public, _, build = found.version.partition("+")
            self.leave(
                f"the build +{build} of {requirement.name} {public}",
                where=where,
                why="it is on an index of its own, and PyPI has none of its builds; "
                f"{found.operator}{public} was carried over, which takes PyPI's build",
                fix="see with `envgen doctor` which CUDA that one brings",
            )
        return _LOCAL.sub("", text)

    def _check(self, text: str, where: str) -> str:
        fault = check_requirement(text)
        if fault:
            self.leave(text, where=where, why=fault.why or fault.what, fix=fault.fix)
            return ""
        return text

    def use_index(self, url: str, where: str = "") -> None:
        """Take an index as the one for everything, or keep why not."""
        url = url.strip().rstrip("/")
        fault = check_index_url(url)
        if fault:
            self.leave(
                f"the index {url}",
                where=where,
                why=f"it {fault.what}" if fault.why else fault.what,
                fix=fault.fix,
            )
        elif self.index not in {"", url}:
            self.leave_index(url, where)
        else:
            self.index = url

    def leave_index(self, url: str, where: str = "") -> None:
        """Keep an index that is one more than a spec has."""
        self.leave(
            f"the index {url.strip()}",
            where=where,
            why="a spec has one index for everything: with two, whoever publishes the higher "
            "version on either decides what is installed",
            fix="set network.index to an index that has all packages (a proxy of both), or do "
            "without",
        )

    def set_env(self, name: str, value: str, where: str = "") -> None:
        """Carry an environment variable over, or keep why not."""
        fault = check_variable_name(name) or check_text(value)
        if fault:
            self.leave(f"the variable {name}", where=where, why=fault.what, fix=fault.fix)
        else:
            self.env[name] = value

    def names(self) -> set[str]:
        """Return the normalised names of the packages that are required."""
        return {canonicalize_name(Requirement(text).name) for text in self.requirements}


def read_text(path: Path) -> str:
    """Return a file's text: UTF-8, or what its byte order mark says, as PowerShell writes it.

    Raises:
        StorageError: It cannot be read, or is no text.

    """
    try:
        data = path.read_bytes()
        marks = (name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark))
        return data.decode(next(marks, "utf-8"))
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=path.name, why=error.strerror or str(error)
        ) from error
    except UnicodeError as error:
        raise StorageError.single("is not text", file=path.name, why=str(error)) from error


def parse_toml(gathering: Gathering) -> dict[str, Any]:
    """Return the document of a TOML file.

    Raises:
        SpecError: It is not TOML.

    """
    try:
        return tomllib.loads(read_text(gathering.path))
    except (ValueError, RecursionError) as error:
        raise SpecError.single(
            "is not valid TOML", file=gathering.path.name, why=str(error)
        ) from error


def table(tables: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the table at a key, an empty one where there is none or something else."""
    found = tables.get(key)
    return found if isinstance(found, dict) else {}


def tables(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield the tables of what should be a list of tables."""
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, dict))


def strings(value: object) -> Iterator[str]:
    """Yield the strings of what should be a list of strings."""
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, str))
