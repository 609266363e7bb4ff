"""envgen.lock: one file for everything that the lockers' own files do not hold."""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from envgen.errors import LockError

_Word = Annotated[str, msgspec.Meta(pattern=r"^\S+\Z")]
_Digest = Annotated[
    str,
    msgspec.Meta(pattern=r"^sha(256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})\Z"),
]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Release = Annotated[str, msgspec.Meta(pattern=r"^([0-9]+(\.[0-9]+)*)?\Z")]
_LayerName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z")]

LOCK_FILE: Final = "envgen.lock"
FORMAT: Final = 1
BUILD_FILE: Final = "build.txt"
"""What pins the tools that build a project's own packages, in the image's folder."""
APT_FILE: Final = "apt.toml"
"""What pins OS packages, in the image's folder."""
WORKLOADS_FILE: Final = "runtime/envgen_runtime/{}_workloads.py"
"""What a plugin adds to the self-test, in the image's folder, by the framework's name."""


# What a lock holds is written into Dockerfiles, so a damaged one must not be able to add lines.
class _Row(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="kebab",
    omit_defaults=True,
):
    """A table of envgen.lock."""


class LockedBase(_Row, frozen=True, kw_only=True):
    """A base image, pinned.

    Attributes:
        image: The canonical reference without digest, on the registry that the spec names.
        digest: `sha256:` and 64 hex digits; of the index where the image has several platforms.
        platforms: Those that the image has, where known.
        origin: Where the digest comes from: `registry`, or the source of a row of bases.toml.
        environment: Its variables that are about CUDA, of an image that is asked for them.
        python: Of an image of envgen: the Python that it has; else empty.
        packages: Of an image of envgen: what it has, as `NAME==VERSION`.
        newest: What its tag meant when it was last asked for, where that was another digest.

    """

    image: _Word
    digest: _Digest
    platforms: tuple[_Word, ...] = ()
    origin: str
    environment: dict[_Word, str] = msgspec.field(default_factory=dict)
    python: _Release = ""
    packages: tuple[_Word, ...] = ()
    newest: Annotated[str, msgspec.Meta(pattern=r"^(sha[0-9]+:[0-9a-f]+)?\Z")] = ""


class LockedPreset(_Row, frozen=True, kw_only=True):
    """A preset that does not come with envgen, kept in a file of the project.

    Attributes:
        reference: What the spec calls it.
        sha256: Of its file.

    """

    reference: _Word
    sha256: _Sha256


class LockedTool(_Row, frozen=True, kw_only=True):
    """A program that image builds run, pinned by the hash of its wheel for each platform."""

    name: _Word
    version: _Word
    sha256: dict[_Word, _Sha256]


LAYERS: Final = ("cuda-packages", "framework", "heavy", "packages")
"""The layers that packages of PyPI may be in, the one that changes least first."""


class LockedLayer(_Row, frozen=True, kw_only=True):
    """Packages that are installed together, from one file.

    Attributes:
        name: The layer's name.
        kind: What its file is: a pylock.toml, one of commits of git, conda packages, or a
            pylock.toml of what the base has, which is not installed again.
        sha256: Of its file.
        packages: How many there are.
        download_bytes: What has to be fetched, by platform, of the artifacts whose size is known.
        unknown_sizes: How many artifacts have no known size.
        unpacked_bytes: What its files weigh once installed, by platform, without bytecode; empty
            where nobody asked or a server did not tell.
        members: The names of its packages, which stay together; empty where the image has one
            layer.

    """

    name: _LayerName
    kind: Literal["pylock", "git", "conda", "base"] = "pylock"
    sha256: _Sha256
    packages: int
    download_bytes: dict[_Word, int]
    unknown_sizes: int = 0
    unpacked_bytes: dict[_Word, int] = msgspec.field(default_factory=dict)
    members: tuple[_Word, ...] = ()

    @property
    def file(self) -> str:
        """The name of its file, in the image's folder."""
        return f"{self.name}.toml" if self.kind == "conda" else f"pylock.{self.name}.toml"


class LockedGpuCode(_Row, frozen=True, kw_only=True):
    """A locked package that holds code for GPUs.

    Attributes:
        package: Its name.
        version: Its version, the local part included.
        cuda: The CUDA release that it uses, as `12.8`; empty where nothing tells.
        platforms: Where it does; empty for all of the image's.

    """

    package: str
    version: str
    cuda: str
    platforms: tuple[_Word, ...] = ()


class LockedSystemCuda(_Row, frozen=True, kw_only=True):
    """CUDA libraries that no package brings, out of an image of nvidia/cuda.

    Attributes:
        image: The `image` of the `LockedBase` that they are taken from.
        asked: What the spec asked for: its base and its CUDA. Where it asks for other, the lock is
            stale.

    """

    image: _Word
    asked: str


class LockedSuite(_Row, frozen=True, kw_only=True):
    """A suite of an archive that OS packages were chosen from.

    Attributes:
        archive: The archive's name.
        suite: Its name there.
        sha256: Of its InRelease, which has the hash of all that it holds.
        key: The fingerprint of the key that signed it; empty where nobody could look.

    """

    archive: _Word
    suite: _Word
    sha256: _Sha256
    key: Annotated[str, msgspec.Meta(pattern=r"^([0-9A-F]{40})?\Z")] = ""


class LockedApt(_Row, frozen=True, kw_only=True):
    """OS packages, pinned in a file of the image's folder.

    Attributes:
        input_sha256: Of what they were chosen for. Where the spec gives other, the lock is stale.
        sha256: Of the file.
        moment: Whose state of the archives it is, as 20261101T000000Z.
        suites: What they were chosen from.
        base_sha256: Of dpkg's record in the base, by platform: what was there already.
        packages: How many there are.
        names: Those that the spec asks for.
        download_bytes: What has to be fetched, by platform.
        unpacked_bytes: About what they weigh once installed, by platform.

    """

    input_sha256: _Sha256
    sha256: _Sha256
    moment: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8}T[0-9]{6}Z\Z")]
    suites: tuple[LockedSuite, ...]
    base_sha256: dict[_Word, _Sha256]
    packages: int
    names: tuple[_Word, ...]
    download_bytes: dict[_Word, int]
    unpacked_bytes: dict[_Word, int]


class LockedOwn(_Row, frozen=True, kw_only=True):
    """A package of the project's own, which the image's build makes a wheel of.

    Attributes:
        name: Its name, normalised.
        folder: Of its pyproject.toml, relative to the spec.
        files: What its build gets to see.
        sha256: Of its pyproject.toml; what its code is, the build sees for itself.

    """

    name: _Word
    folder: str
    files: tuple[str, ...]
    sha256: _Sha256

    @property
    def project_file(self) -> str:
        """The path of its pyproject.toml, relative to the spec."""
        return "pyproject.toml" if self.folder == "." else f"{self.folder}/pyproject.toml"


class LockedImage(_Row, frozen=True, kw_only=True):
    """What one image's lock was made from and what it holds.

    Attributes:
        base: The `image` of the `LockedBase` it stands on.
        locker: The locker's name.
        locker_version: The locker's version when it last ran; with the solver's for conda-lock
            (`4.0.3+py-rattler-0.28.0`), and for pip that of uv, which compiles (`uv-0.13.9`).
        input_sha256: Of the locker's input files. Where the spec gives others, the lock is stale.
        lock_sha256: Of the locker's own lock file.
        frameworks: Versions of the frameworks that decisions depend on, by package name.
        layers: In the order in which images stack them.
        gpu_code: What decides on which drivers and GPUs the image runs; empty without CUDA.
        base_cuda: The CUDA release of the base, or of what is taken out of an image of nvidia/cuda;
            empty where there is none.
        links: Packages that load CUDA libraries which no other brings, as `NAME==VERSION`.
        system_cuda: Where these come from; None where the base has them, or nothing needs them.
        hashed: Files whose SHA-256 was computed, because their index publishes none.
        own: The project's own packages, in the order in which they are built.
        build_sha256: Of the file that pins what builds them; empty where there are none.
        apt: Its OS packages; None where it asks for none.
        workloads: The hashes of the files that plugins add to its self-test, by framework.
        shared: What its label says that it has, as `NAME==VERSION`; empty where it says nothing.
        drift: Packages of the base that would have another version without it, with that version.

    """

    base: _Word
    locker: _Word
    locker_version: _Word
    input_sha256: _Sha256
    lock_sha256: _Sha256
    frameworks: dict[_Word, _Word]
    layers: tuple[LockedLayer, ...]
    gpu_code: tuple[LockedGpuCode, ...] = ()
    base_cuda: _Release = ""
    links: tuple[_Word, ...] = ()
    system_cuda: LockedSystemCuda | None = None
    hashed: tuple[_Word, ...] = ()
    own: tuple[LockedOwn, ...] = ()
    build_sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    apt: LockedApt | None = None
    workloads: dict[_Word, _Sha256] = msgspec.field(default_factory=dict)
    shared: tuple[_Word, ...] = ()
    drift: dict[_Word, _Word] = msgspec.field(default_factory=dict)


class Lock(_Row, frozen=True, kw_only=True):
    """Everything that came from outside, pinned.

    Attributes:
        format: The version of the file's format.
        agree: What the images were held to the same version of, as the spec had it.
        presets: Those that do not come with envgen, sorted by reference.
        bases: The base images.
        tools: What image builds run.
        images: By name.

    """

    format: int
    agree: tuple[_Word, ...] = ()
    presets: tuple[LockedPreset, ...] = ()
    bases: tuple[LockedBase, ...]
    tools: tuple[LockedTool, ...]
    images: dict[str, LockedImage]

    def find_base(self, image: str) -> LockedBase | None:
        return next((base for base in self.bases if base.image == image), None)

    def find_tool(self, name: str) -> LockedTool | None:
        return next((tool for tool in self.tools if tool.name == name), None)


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """The layers that packages have so far, by name.

    Attributes:
        own: In the image itself; empty where it has one layer, or none.
        others: In other images of the spec, so that images share what they can.

    """

    own: dict[str, str] = msgspec.field(default_factory=dict)
    others: dict[str, str] = msgspec.field(default_factory=dict)


def find_places(lock: Lock, name: str) -> Places:
    """Return where the packages of an image are, and those of the other images."""
    found: tuple[dict[str, str], dict[str, str]] = {}, {}
    for image, locked in lock.images.items():
        for layer in locked.layers:
            found[image != name].update(dict.fromkeys(layer.members, layer.name))
    return Places(own=found[0], others=found[1])


EMPTY: Final = Lock(format=FORMAT, bases=(), tools=(), images={})

_HEADER: Final = "# Generated by `envgen lock`. Do not edit; commit it beside the spec.\n"


def read_lock(content: bytes) -> Lock:
    """Return the lock that the bytes of an envgen.lock hold.

    Raises:
        LockError: They are not a lock that this envgen can read.

    """
    fix = "run `python -m envgen lock` to make a new one"
    try:
        document = tomllib.loads(content.decode("utf-8"))
    # TOMLDecodeError and UnicodeDecodeError are ValueErrors, and so is an integer beyond limits.
    except (ValueError, RecursionError) as error:
        if b"<<<<<<< " in content:
            raise LockError.single("has conflict markers", file=LOCK_FILE, fix=fix) from error
        raise LockError.single("is not TOML", file=LOCK_FILE, why=str(error), fix=fix) from error
    if document.get("format") != FORMAT:
        raise LockError.single(
            f"has format {document.get('format')!r}; this envgen reads format {FORMAT}",
            file=LOCK_FILE,
            fix="upgrade envgen, or make a new lock with this one",
        )
    try:
        return msgspec.convert(document, Lock)
    except msgspec.ValidationError as error:
        raise LockError.single(
            "does not hold what a lock holds", file=LOCK_FILE, why=str(error), fix=fix
        ) from error


def write_lock(lock: Lock) -> bytes:
    """Return the bytes of an envgen.lock: sorted, a line per fact, without clock or machine."""
    import tomli_w  # noqa: PLC0415 - checks only read

    document = msgspec.to_builtins(lock)
    document["bases"] = sorted(document["bases"], key=lambda base: base["image"])
    document["tools"] = sorted(document["tools"], key=lambda tool: tool["name"])
    document["images"] = _sort_keys(document["images"])
    return (_HEADER + "\n" + tomli_w.dumps(document)).encode()


def _sort_keys(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: table[key] for key in sorted(table)}
