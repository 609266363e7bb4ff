"""From a folder to its `Spec`: which file it is, and what a pyproject.toml contributes."""

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from envgen.errors import Problem, SpecError, StorageError, UsageError
from envgen.presets import apply_preset, preset_names, read_preset
from envgen.spec.conflicts import find_conflicts
from envgen.spec.model import Network, Spec
from envgen.spec.parse import parse_spec, parse_table

if TYPE_CHECKING:
    from envgen.spec.pinned_presets import Fetch, PinnedPreset, PresetReader

SPEC_FILE: Final = "envgen.toml"
PYPROJECT: Final = "pyproject.toml"


class LoadedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A spec and where it came from.

    Attributes:
        root: The folder of the spec; every path of the spec is relative to it.
        file: The spec's file name.
        sha256: Of the file's bytes, 64 hex digits.
        spec: The spec itself.
        presets: Those that do not come with envgen, sorted by reference.

    """

    root: Path
    file: str
    sha256: str
    spec: Spec
    presets: "tuple[PinnedPreset, ...]" = ()

    @property
    def prefix(self) -> str:
        """What key paths begin with in this file."""
        return key_prefix(self.file)


def key_prefix(file: str) -> str:
    """Return what the key paths of a spec begin with: in a pyproject.toml it is a table."""
    return "tool.envgen." if file == PYPROJECT else ""


def load_spec(folder: Path, *, fetch: "Fetch | None" = None) -> LoadedSpec:
    """Return the spec of `folder` or of the nearest folder above that has one.

    Args:
        folder: Where to begin.
        fetch: Fetches presets that are neither envgen's nor kept beside the lock.

    Raises:
        SpecError: There is none, or it is not valid.
        StaleError: It has a preset that is not locked, and nothing to fetch it with.
        StorageError: It cannot be read.
        UsageError: There is no such folder.

    """
    if not folder.exists():
        raise UsageError.single(f"there is no folder {folder}")
    found = _find_spec(folder)
    if found is not None:
        return _load(*found, fetch)
    raise SpecError.single(
        f"there is no {SPEC_FILE} in {folder.name or folder} or above",
        why=f"envgen reads {SPEC_FILE}, or [tool.envgen] in a {PYPROJECT}",
        fix="write one (docs/spec.md has every key), or name its folder with --directory",
    )


def find_root(folder: Path) -> Path | None:
    """Return the nearest folder with a spec, `folder` or one above it; None where there is none.

    Raises:
        SpecError: A file that may be the spec is not TOML.
        StorageError: It cannot be read.

    """
    found = _find_spec(folder)
    return found[0].parent if found else None


def _find_spec(folder: Path) -> tuple[Path, bytes, dict[str, Any]] | None:
    for candidate in (folder, *folder.parents):
        for file in (SPEC_FILE, PYPROJECT):
            path = candidate / file
            if path.is_file():
                data = _read_bytes(path)
                document = _parse_spec_file(file, data)
                if document is not None:
                    return path, data, document
    return None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=path.name, why=error.strerror or str(error)
        ) from error


def _parse_spec_file(file: str, data: bytes) -> dict[str, Any] | None:
    """Return the document of a file that holds a spec; None for somebody else's pyproject.toml."""
    if file == SPEC_FILE:
        return _parse_toml(file, data)
    # The bytes tell most of those that are not ours without parsing.
    document = _parse_toml(file, data) if b"envgen" in data else {}
    tool = document.get("tool")
    return document if isinstance(tool, dict) and "envgen" in tool else None


def _load(path: Path, data: bytes, document: dict[str, Any], fetch: "Fetch | None") -> LoadedSpec:
    locate: Callable[[str], str] = str
    if path.name == PYPROJECT:
        from envgen.spec.pyproject import adopt_pyproject  # noqa: PLC0415 - imports packaging

        adopted = adopt_pyproject(document)
        table, problems, locate = adopted.document, list(adopted.problems), adopted.locate
    else:
        table, problems = document, _refuse_groups(document)
    presets = _Presets(path, locate, table, fetch)
    filled = presets.apply(table)
    spec = parse_spec(
        filled, file=path.name, locate=locate, problems=[*problems, *presets.problems]
    )
    spec = _expand_own(spec, path, document)
    conflicts = find_conflicts(spec, path.name, key_prefix(path.name))
    if conflicts:
        raise SpecError(*conflicts)
    return LoadedSpec(
        root=path.parent,
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        spec=spec,
        presets=tuple(presets.pinned[text] for text in sorted(presets.pinned)),
    )


def _expand_own(spec: Spec, path: Path, document: dict[str, Any]) -> Spec:
    """Return the spec with the dependencies of the project's own packages, where it has some."""
    uv = document.get("tool", {}).get("uv", {}) if path.name == PYPROJECT else {}
    sources = isinstance(uv, dict) and "sources" in uv
    if not (sources or any(image.install for image in spec.images.values())):
        return spec
    from envgen.spec.own import expand_own  # noqa: PLC0415 - few specs have any

    return expand_own(spec, path.parent, file=path.name, sources=sources)


def _parse_toml(file: str, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SpecError.single(
            f"is not UTF-8 (byte {error.start})", file=file, why="TOML files are UTF-8"
        ) from error
    # Beside TOMLDecodeError, a ValueError itself, these are integers and nesting beyond limits.
    except (ValueError, RecursionError) as error:
        raise SpecError.single("is not valid TOML", file=file, why=str(error)) from error


class _Presets:
    """The presets of a spec's images, as they are applied.

    Args:
        path: The spec's file.
        locate: Returns the key path in the file for a key path of the spec.
        table: The spec's document.
        fetch: Fetches presets; None where the network is not to be used.

    """

    def __init__(
        self, path: Path, locate: Callable[[str], str], table: dict[str, Any], fetch: "Fetch | None"
    ) -> None:
        self.path = path
        self.locate = locate
        self.table = table
        self.fetch = fetch
        self.pinned: dict[str, PinnedPreset] = {}
        self.problems: list[Problem] = []
        self._reader: PresetReader | None = None

    def apply(self, table: dict[str, Any]) -> dict[str, Any]:
        """Return the spec's document with the keys of presets under those of its images."""
        images = table.get("images")
        if not isinstance(images, dict):
            return table
        return {**table, "images": {name: self._fill(name, images[name]) for name in images}}

    def _fill(self, name: str, image: Any) -> Any:  # noqa: ANN401 - TOML is untyped
        text = image.get("preset") if isinstance(image, dict) else None
        if not isinstance(text, str):
            return image
        if text in preset_names():
            return apply_preset(read_preset(text)["image"], image)
        return self._fill_pinned(f"images.{name}.preset", text, image)

    def _fill_pinned(self, key: str, text: str, image: dict[str, Any]) -> dict[str, Any]:
        from envgen.spec import pinned_presets  # noqa: PLC0415 - few specs have any

        if self._reader is None:
            self._reader = pinned_presets.PresetReader(
                self.path.parent, self._read_network(), self.fetch
            )
        found = self._reader.read(text)
        if isinstance(found, pinned_presets.PinnedPreset):
            self.pinned[text] = found
            return apply_preset(
                pinned_presets.parse_preset(found.content, found.file.path)["image"], image
            )
        if found is not None:
            self.problems.append(
                Problem(
                    what=found.what,
                    file=self.path.name,
                    key=self.locate(key),
                    why=found.why,
                    fix=found.fix,
                )
            )
        return image

    def _read_network(self) -> Network:
        return parse_table(
            self.table.get("network", {}),
            Network,
            file=self.path.name,
            locate=lambda key: self.locate(f"network.{key}"),
        )


def _refuse_groups(document: dict[str, Any]) -> list[Problem]:
    images = document.get("images")
    return [
        Problem(
            what=f"an {SPEC_FILE} has no {key}",
            file=SPEC_FILE,
            key=f"images.{name}.{key}",
            why=f"they are tables of a {PYPROJECT}",
            fix="write the requirements into `dependencies`, or move the spec into "
            f"[tool.envgen] of the {PYPROJECT}",
        )
        for name, image in (images.items() if isinstance(images, dict) else ())
        for key in ("groups", "extras")
        if isinstance(image, dict) and image.get(key)
    ]
