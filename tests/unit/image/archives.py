"""Images as different builders would write them: the same files in other bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "User": "10001:10001",
    "Env": ["PATH=/opt/venv/bin:/bin", "A=1"],
    "Cmd": ["serve"],
    "Labels": {"org.envgen.image": "serve"},
}


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
}


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """Return an entry of a layer: a file where nothing else is said."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in {"mtime": 315532800, **fields}.items():
        setattr(info, key, value)
    return info, content


def folder(name: str, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=0o755, **fields)


def link(name: str, target: str, *, hard: bool = False) -> tuple[tarfile.TarInfo, bytes]:
    kind = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
    return member(name, type=kind, linkname=target)


def pack(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], *, form: int = tarfile.PAX_FORMAT
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def make_config(layers: Iterable[bytes], config: Mapping[str, Any] = CONFIG) -> dict[str, Any]:
    """Return the configuration of an image, with what a builder adds."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-11-23T17:42:00Z",
        "history": [{"created_by": "COPY /out/ /"}],
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }


def save_as_docker(path: Path, layers: list[bytes], config: Mapping[str, Any] = CONFIG) -> Path:
    """Write what `docker save` wrote before version 25."""
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["x:1"], "Layers": names}]
    files = {
        **dict(zip(names, layers, strict=True)),
        "config.json": json.dumps(make_config(layers, config)).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    path.write_bytes(pack([member(name, content) for name, content in files.items()]))
    return path


def save_as_layout(
    path: Path, layers: list[bytes], config: Mapping[str, Any] = CONFIG, *, compression: str = ""
) -> Path:
    """Write an OCI layout as a folder, with an index that also has an attestation."""
    blobs = [COMPRESSIONS[compression](layer) for layer in layers]
    document = json.dumps(make_config(layers, config)).encode()
    manifest = {
        "config": {"digest": digest(document)},
        "layers": [{"digest": digest(blob)} for blob in blobs],
    }
    packed = json.dumps(manifest).encode()
    index = {
        "manifests": [
            {
                "digest": digest(packed),
                "platform": {"os": "linux", "architecture": "amd64"},
            },
            {
                "digest": digest(b"attestation"),
                "platform": {"os": "unknown", "architecture": "unknown"},
            },
        ]
    }
    nested = json.dumps(index).encode()
    outer = {"manifests": [{"digest": digest(nested)}]}
    for blob in (*blobs, document, packed, nested):
        target = path / "blobs" / digest(blob).replace(":", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(blob)
    (path / "index.json").write_text(json.dumps(outer), encoding="utf-8")
    return path
