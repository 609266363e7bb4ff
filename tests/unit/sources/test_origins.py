"""Every file of an image has an origin, or is named."""

from __future__ import annotations

import bz2
import hashlib
import http.server
import importlib.util
import io
import json
import threading
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from tests.unit.image.archives import folder, link, member, pack

from envgen.errors import LockError
from envgen.image.filesystem import stack_layers
from envgen.image.layer import read_layer
from envgen.image.region import Region
from envgen.lock.packages import Artifact, LockedPackage
from envgen.sources.base import claim_base
from envgen.sources.bytecode import claim_bytecode
from envgen.sources.claims import Claims
from envgen.sources.conda import claim_conda
from envgen.sources.downloads import Downloads
from envgen.sources.wheels import Prefix, claim_wheels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = Prefix("opt/venv", "3.13")
SITE = "opt/venv/lib/python3.13/site-packages"
SOURCE = b"def main(): pass\n"
WHEEL = b"Wheel-Version: 1.0\n"
SCRIPT = b"""\
#!/opt/venv/bin/python
# -*- coding: utf-8 -*-
import sys
from app import main
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(main())
"""
IN_WHEEL = {
    "app/__init__.py": SOURCE,
    "app-1.0.data/scripts/tool": b"#!python\nprint()\n",
    "app-1.0.data/data/share/app.txt": b"text\n",
    "app-1.0.dist-info/WHEEL": WHEEL,
    "app-1.0.dist-info/entry_points.txt": b"[console_scripts]\napp = app:main\n",
    "app-1.0.dist-info/RECORD": b"",
}
INSTALLED = {
    f"{SITE}/app/__init__.py": SOURCE,
    "opt/venv/bin/tool": b"#!/opt/venv/bin/python\nprint()\n",
    "opt/venv/bin/app": SCRIPT,
    "opt/venv/share/app.txt": b"text\n",
    f"{SITE}/app-1.0.dist-info/WHEEL": WHEEL,
    f"{SITE}/app-1.0.dist-info/entry_points.txt": IN_WHEEL["app-1.0.dist-info/entry_points.txt"],
    f"{SITE}/app-1.0.dist-info/INSTALLER": b"uv",
    f"{SITE}/app-1.0.dist-info/RECORD": b"app/__init__.py,,\n../../../bin/app,,\n",
}


def bytecode(source: bytes, flags: int = 3) -> bytes:
    magic = importlib.util.MAGIC_NUMBER
    return magic + flags.to_bytes(4, "little") + importlib.util.source_hash(source) + b"code"


def claims_of(tmp_path: Path, files: dict[str, bytes], *more: Any) -> Claims:
    folders = {parent for path in files for parent in _parents(path)}
    members = [folder(path) for path in sorted(folders)]
    members += [member(path, content) for path, content in files.items()]
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
    path.write_bytes(pack([*members, *more]))
    layer = read_layer(Region(path=path, start=0, size=path.stat().st_size))
    return Claims(stack_layers([layer]))


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield a folder and the address under which it is served."""
    root = tmp_path_factory.mktemp("served")
    handler = partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Downloads]:
    with Downloads(tmp_path_factory.mktemp("got"), index="", ca_certificates=None) as found:
        yield found


def offer(served: tuple[Path, str], name: str, content: bytes) -> Artifact:
    root, url = served
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Artifact(filename=path.name, url=f"{url}/{name}", sha256=digest)


def make_wheel(served: tuple[Path, str], **files: bytes) -> LockedPackage:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {**IN_WHEEL, **files}.items():
            archive.writestr(name, content)
    wheel = offer(served, "app-1.0-py3-none-any.whl", packed.getvalue())
    return LockedPackage(name="app", version="1.0", wheels=(wheel,))


def check_wheel(claims: Claims, package: LockedPackage, downloads: Downloads) -> list[str]:
    claim_wheels(claims, [package], PREFIX, "linux/amd64", downloads)
    claim_bytecode(claims)
    claims.close()
    return claims.problems


def test_installed_wheel_is_accounted_for(
    tmp_path: Path, served: tuple[Path, str], downloads: Downloads
) -> None:
    compiled = f"{SITE}/app/__pycache__/__init__.cpython-313.pyc"
    claims = claims_of(tmp_path, {**INSTALLED, compiled: bytecode(SOURCE)})

    assert check_wheel(claims, make_wheel(served), downloads) == []
    assert claims.counts["app-1.0-py3-none-any.whl"] == 5
    assert "1 files of bytecode" in claims.notes[0]


@pytest.mark.parametrize(
    ("path", "content", "what"),
    [
        (f"{SITE}/app/__init__.py", b"import evil\n", "is not what app-1.0-py3-none-any.whl has"),
        ("opt/venv/bin/tool", b"#!/bin/sh\n", "is not what app-1.0-py3-none-any.whl has"),
        ("opt/venv/bin/app", b"#!/bin/sh\n", "is not what an entry point of app"),
        (f"{SITE}/evil.pth", b"import evil\n", "comes from nothing in the lock"),
        ("opt/venv/bin/other", b"", "comes from nothing in the lock"),
        (f"{SITE}/app/__pycache__/__init__.cpython-313.pyc", bytecode(b"x"), "not compiled from"),
        (f"{SITE}/app/__pycache__/__init__.cpython-313.pyc", bytecode(SOURCE, 0), "not compiled"),
        (f"{SITE}/app/__pycache__/x.cpython-313.pyc", bytecode(SOURCE), "comes from nothing"),
        (f"{SITE}/app-1.0.dist-info/RECORD", b"app/gone.py,,\n", "is not what app-1.0.dist-info/"),
    ],
)
def test_what_is_not_the_wheels_is_named(
    tmp_path: Path,
    served: tuple[Path, str],
    downloads: Downloads,
    *,
    path: str,
    content: bytes,
    what: str,
) -> None:
    claims = claims_of(tmp_path, {**INSTALLED, path: content})

    (problem,) = check_wheel(claims, make_wheel(served), downloads)

    assert what in problem


def test_file_that_anybody_may_change_is_named(
    tmp_path: Path, served: tuple[Path, str], downloads: Downloads
) -> None:
    open_file = member(f"{SITE}/app/__init__.py", SOURCE, mode=0o666)

    (problem,) = check_wheel(
        claims_of(tmp_path, INSTALLED, open_file), make_wheel(served), downloads
    )

    assert problem.endswith("has owner and mode 0:0 0666, and only root should change it")


def test_wheel_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, served: tuple[Path, str], downloads: Downloads
) -> None:
    package = make_wheel(served)
    wheel = served[0] / "app-1.0-py3-none-any.whl"
    content = bytearray(wheel.read_bytes())
    content[100] ^= 1
    wheel.write_bytes(content)

    with pytest.raises(LockError, match="is not the file that was locked"):
        check_wheel(claims_of(tmp_path, INSTALLED), package, downloads)


def test_package_that_is_not_there_is_named(
    tmp_path: Path, served: tuple[Path, str], downloads: Downloads
) -> None:
    problems = check_wheel(claims_of(tmp_path, {}), make_wheel(served), downloads)

    assert problems == ["app 1.0 is not installed"]


def test_base_is_held_file_by_file(tmp_path: Path) -> None:
    passwd = b"root:x:0:0:root:/root:/bin/bash\n"
    base = claims_of(tmp_path, {"bin/sh": b"sh", "bin/ls": b"ls", "etc/passwd": passwd}).files
    user = b"app:x:10001:10001::/home/app:/usr/sbin/nologin\n"
    changed = member("bin/ls", b"ls", mode=0o4755)
    image = {"bin/sh": b"SH", "etc/passwd": passwd + user, "new": b""}
    claims = claims_of(tmp_path, image, changed)

    claim_base(claims, base)
    claims.close()

    assert [problem.split()[0] for problem in claims.problems] == ["/bin/ls", "/bin/sh", "/new"]


PLACEHOLDER = "/placeholder_placeholder_placeholder"
LINK = {"noarch": {"type": "python", "entry_points": ["run = app.cli:main"]}}
RUN = b"""\
#!/opt/venv/bin/python3.13
# -*- coding: utf-8 -*-
import re
import sys

from app.cli import main

if __name__ == '__main__':
\tsys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])
\tsys.exit(main())
"""


def conda_files() -> dict[str, bytes]:
    return {
        "site-packages/app/cli.py": SOURCE,
        "bin/text": f"#!{PLACEHOLDER}/bin/sh\n".encode(),
        "bin/binary": b"\x01" + f"{PLACEHOLDER}/lib:{PLACEHOLDER}".encode() + b"\0tail\0",
    }


def conda_members() -> list[Any]:
    files = conda_files()
    rows: list[dict[str, str]] = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            **(
                {"prefix_placeholder": PLACEHOLDER, "file_mode": path.removeprefix("bin/")}
                if path.startswith("bin/")
                else {}
            ),
        }
        for path, content in files.items()
    ]
    rows.append({"_path": "bin/also", "path_type": "softlink"})
    info = {"info/paths.json": {"paths": rows, "paths_version": 1}, "info/link.json": LINK}
    members = [member(path, json.dumps(document).encode()) for path, document in info.items()]
    members += [member(path, content) for path, content in files.items()]
    return [*members, link("bin/also", "text")]


def pack_conda(name: str) -> bytes:
    if name.endswith(".tar.bz2"):
        return bz2.compress(pack(conda_members()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in ("info", "pkg"):
            chosen = [
                m for m in conda_members() if m[0].name.startswith("info/") == (part == "info")
            ]
            archive.writestr(f"{part}-app-1.0-0.tar.zst", zstandard.compress(pack(chosen)))
    return packed.getvalue()


def conda_installed(sha256: str) -> dict[str, bytes]:
    length = len(PLACEHOLDER) - len("/opt/venv")
    return {
        f"{SITE}/app/cli.py": SOURCE,
        "opt/venv/bin/text": b"#!/opt/venv/bin/sh\n",
        "opt/venv/bin/binary": b"\x01/opt/venv/lib:/opt/venv" + bytes(2 * length + 1) + b"tail\0",
        "opt/venv/bin/run": RUN,
        "opt/venv/conda-meta/app-1.0-0.json": json.dumps({"sha256": sha256}).encode(),
    }


@pytest.mark.parametrize("name", ["app-1.0-0.tar.bz2", "app-1.0-0.conda"])
@pytest.mark.parametrize("changed", ["", f"{SITE}/app/cli.py", "opt/venv/bin/text", "opt/venv/x"])
def test_conda_package_is_held_to_its_paths(
    tmp_path: Path, served: tuple[Path, str], downloads: Downloads, name: str, changed: str
) -> None:
    archive = offer(served, f"noarch/{name}", pack_conda(name))
    package = LockedPackage(name="app", version="1.0", conda="app", wheels=(archive, archive))
    installed = conda_installed(archive.sha256) | ({changed: b"other"} if changed else {})
    claims = claims_of(tmp_path, installed, link("opt/venv/bin/also", "text"))

    claim_conda(claims, [package], PREFIX, "linux/amd64", downloads)
    claims.close()

    assert [problem.split()[0] for problem in claims.problems] == (
        [f"/{changed}"] if changed else []
    )
