"""A conda channel for tests: packages made of what a test says, and their repodata.json."""

import bz2
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

_LICENSE = "BSD-3-Clause"


@dataclass
class Package:
    """A package before it is packed.

    `files` are paths below the prefix with their bytes; those in `executables` may be run. In a
    file of `placeholders`, the text given there is replaced by the prefix where it is installed.
    """

    name: str
    version: str = "1.0"
    build: str = "0"
    subdir: str = "linux-64"
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    executables: frozenset[str] = frozenset()
    placeholders: Mapping[str, str] = field(default_factory=dict)

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.build}.tar.bz2"


class Channel:
    """A folder that conda, mamba and rattler read as a channel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: dict[str, dict[str, dict[str, Any]]] = {"noarch": {}}
        self.write()

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def add(self, *packages: Package) -> None:
        for package in packages:
            path = self.folder / package.subdir / package.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_pack(package))
            self.records.setdefault(package.subdir, {})[package.filename] = _record(package, path)
        self.write()

    def write(self) -> None:
        """Write the repodata.json of every platform."""
        for subdir, records in self.records.items():
            (self.folder / subdir).mkdir(parents=True, exist_ok=True)
            document = {"info": {"subdir": subdir}, "packages": records, "packages.conda": {}}
            (self.folder / subdir / "repodata.json").write_text(json.dumps(document))

    @contextmanager
    def serve(self, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve the folder over HTTP and yield its address."""
        handler = partial(_Quiet, directory=str(self.folder))
        with ThreadingHTTPServer((host, 0), handler) as server:
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield f"http://{host}:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep requests out of the output of tests."""


def _index(package: Package) -> dict[str, Any]:
    index: dict[str, Any] = {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": 0,
        "subdir": package.subdir,
        "depends": list(package.depends),
        "constrains": list(package.constrains),
        "license": _LICENSE,
    }
    if package.noarch:
        index["noarch"] = package.noarch
    return index


def _record(package: Package, path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        **_index(package),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }


def _pack(package: Package) -> bytes:
    members = {
        "info/index.json": json.dumps(_index(package)).encode(),
        "info/files": "".join(f"{path}\n" for path in _all_paths(package)).encode(),
        "info/paths.json": json.dumps(_paths(package)).encode(),
    }
    if package.noarch == "python":
        members["info/link.json"] = json.dumps(
            {"noarch": {"type": "python"}, "package_metadata_version": 1}
        ).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in (*members.items(), *package.files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mode = 0o755 if path in package.executables else 0o644
            archive.addfile(member, io.BytesIO(content))
        for path, target in package.links.items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return bz2.compress(packed.getvalue(), compresslevel=1)


def _all_paths(package: Package) -> list[str]:
    return sorted([*package.files, *package.links])


def _paths(package: Package) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for path, content in package.files.items():
        row = {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        if path in package.placeholders:
            mode = "binary" if b"\0" in content else "text"
            row |= {"file_mode": mode, "prefix_placeholder": package.placeholders[path]}
        rows.append(row)
    rows += [
        {"_path": path, "path_type": "softlink", "sha256": hashlib.sha256(b"").hexdigest()}
        for path in package.links
    ]
    return {"paths": sorted(rows, key=lambda row: str(row["_path"])), "paths_version": 1}


def pack_python(interpreter: Path, version: str, subdir: str = "linux-64") -> Package:
    """Return an installed Python as a package, which runs wherever it is installed.

    Its own prefix is the placeholder: in texts, and in the path where the program looks for its
    library. In the library itself the linker may have laid other strings over that path.
    """
    prefix = interpreter.resolve().parent.parent
    minor = version.rpartition(".")[0]
    chosen = [
        interpreter.resolve(),
        *sorted((prefix / "lib").glob(f"libpython{minor}.so*")),
        *sorted((prefix / "lib" / f"python{minor}").rglob("*")),
    ]
    skipped = {"__pycache__", "ensurepip", "idlelib", "site-packages", "test", "tests", "tkinter"}
    files = {
        path.relative_to(prefix).as_posix(): path
        for path in chosen
        if path.is_file() and not skipped & set(path.parts) and not path.name.endswith((".a", ".o"))
    }
    contents = {name: path.read_bytes() for name, path in files.items() if not path.is_symlink()}
    program = f"bin/python{minor}"
    return Package(
        "python",
        version,
        "0_cpython",
        subdir,
        depends=("__glibc >=2.17",),
        files=contents,
        links={
            "bin/python": f"python{minor}",
            "bin/python3": f"python{minor}",
            **{name: path.readlink().name for name, path in files.items() if path.is_symlink()},
        },
        executables=frozenset({program}),
        placeholders={
            name: str(prefix)
            for name, data in contents.items()
            if str(prefix).encode() in data and (name == program or b"\0" not in data)
        },
    )
