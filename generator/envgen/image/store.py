"""Images as files: what `docker save` and buildah write, and OCI layouts, packed or as a folder."""

import json
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen.errors import StorageError
from envgen.image.layer import Layer, read_layer
from envgen.image.region import Region, unpack

_MAX_DOCUMENT_BYTES: Final = 4 * 1024 * 1024
_MAX_NESTED_INDEXES: Final = 4


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image whose bytes lie in files.

    Attributes:
        config: The JSON of its configuration.
        layers: From the base upwards.

    """

    config: dict[str, Any]
    layers: tuple[Layer, ...]


def open_image(path: Path, scratch: Path, *, platform: str = "") -> StoredImage:
    """Return the image of an archive or of an OCI layout.

    Args:
        path: The archive's file, or the layout's folder.
        scratch: A folder for layers that have to be unpacked; the image needs it as long as it is
            used.
        platform: Which image of an index to take, as `linux/arm64`; the only one when not given.

    Raises:
        StorageError: There is no image in it, several, or a damaged one.
        ToolError: It is compressed in a way that this Python does not know.

    """
    try:
        files = _list_folder(path) if path.is_dir() else _list_archive(path)
        config, layers = _find_parts(files, platform)
        return assemble(_read_json(config), layers, scratch)
    except (ValueError, KeyError, IndexError, TypeError, tarfile.TarError) as error:
        # KeyError and the like: the JSON of a stranger is not what it should be.
        raise StorageError.single(
            "is not an image that can be read",
            file=str(path),
            why=str(error) if isinstance(error, ValueError) else f"it has no {error}",
            fix="name what `docker save` wrote, or an OCI layout",
        ) from error


def assemble(config: dict[str, Any], blobs: Iterable[Region], scratch: Path) -> StoredImage:
    """Return an image of its parts, each layer held to the configuration's digest of it.

    Raises:
        ValueError: A layer is not what the configuration says.

    """
    layers = []
    blobs = tuple(blobs)
    expected = config["rootfs"]["diff_ids"]
    if len(expected) != len(blobs):
        raise ValueError(f"its configuration tells of {len(expected)} layers, not {len(blobs)}")
    for number, (blob, diff_id) in enumerate(zip(blobs, expected, strict=True)):
        plain, digest = unpack(blob, scratch / f"layer-{number}.tar")
        if digest != diff_id:
            raise ValueError(f"layer {number} is {digest}, and the configuration says {diff_id}")
        layers.append(read_layer(plain))
    return StoredImage(config=config, layers=tuple(layers))


def _list_archive(path: Path) -> dict[str, Region]:
    """Return where the files of an archive lie; links among them count as what they lead to."""
    found: dict[str, Region] = {}
    links: dict[str, str] = {}
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            name = posixpath.normpath(member.name)
            if member.isreg():
                found[name] = Region(path=path, start=member.offset_data, size=member.size)
            elif member.issym():  # docker save before 25, for a layer that it has already written
                links[name] = posixpath.normpath(f"{name}/../{member.linkname}")
            elif member.islnk():
                links[name] = posixpath.normpath(member.linkname)
    return found | {name: found[target] for name, target in links.items() if target in found}


def _list_folder(path: Path) -> dict[str, Region]:
    return {
        file.relative_to(path).as_posix(): Region(path=file, start=0, size=file.stat().st_size)
        for file in path.rglob("*")
        if file.is_file()
    }


def _find_parts(files: Mapping[str, Region], platform: str) -> tuple[Region, list[Region]]:
    if "manifest.json" in files:
        images = _read_json(files["manifest.json"])
        if len(images) != 1:
            raise ValueError(f"it holds {len(images)} images, and one is wanted")
        paths = [images[0]["Config"], *images[0]["Layers"]]
    elif "index.json" in files:
        manifest = _choose(files, _read_json(files["index.json"]), platform)
        paths = [_blob(part["digest"]) for part in (manifest["config"], *manifest["layers"])]
    else:
        raise ValueError("it has neither a manifest.json nor an index.json")
    config, *layers = (_find(files, path) for path in paths)
    return config, layers


def _choose(files: Mapping[str, Region], index: dict[str, Any], platform: str) -> dict[str, Any]:
    """Return the manifest of the one image of an index, which may lie in further indexes."""
    for _ in range(_MAX_NESTED_INDEXES):
        images = [entry for entry in index["manifests"] if _fits(entry, platform)]
        if len(images) != 1:
            raise ValueError(f"it holds {len(images)} images, and one is wanted")
        document: dict[str, Any] = _read_json(_find(files, _blob(images[0]["digest"])))
        if "manifests" not in document:
            return document
        index = document
    raise ValueError("its indexes lead to no image")


def _fits(entry: dict[str, Any], platform: str) -> bool:
    known = entry.get("platform")
    if not known:
        return True
    # BuildKit writes unknown/unknown for the attestations that it puts beside an image.
    if known["os"] == "unknown":
        return False
    return not platform or f"{known['os']}/{known['architecture']}/".startswith(f"{platform}/")


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _find(files: Mapping[str, Region], path: str) -> Region:
    if path not in files:
        raise ValueError(f"{path} is missing")
    return files[path]


def _read_json(region: Region) -> Any:  # noqa: ANN401 - any JSON value
    if region.size > _MAX_DOCUMENT_BYTES:
        raise ValueError("a document of it is larger than any image's")
    return json.loads(b"".join(region.read()))
