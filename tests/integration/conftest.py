"""What integration tests share: scratch projects, an index and a registry of their own."""

from __future__ import annotations

import base64
import hashlib
import http.client
import http.server
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import pytest
import uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLE = Path(__file__).parents[2] / "examples" / "iris-serve"
MIRROR = "127.0.0.1:5000"


@dataclass(frozen=True)
class Project:
    """A folder with a spec, and the variables that envgen runs with in it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> Path:
        return self.root / "envgen.toml"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "envgen"]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENVGEN_")}
        return kept | self.env | more

    def envgen(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.root,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            check=False,
        )

    def files(self) -> dict[str, bytes]:
        """Return every file of the folder by its path."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="session")
def copy_example() -> Callable[[Path], Project]:
    """Return what copies the example without what was locked and rendered in it."""

    def copy(folder: Path) -> Project:
        made = shutil.ignore_patterns("environments", "envgen.lock", "__pycache__")
        shutil.copytree(EXAMPLE, folder, ignore=made)
        return Project(folder)

    return copy


@pytest.fixture(scope="session")
def ca_bundle() -> Path:
    """Return the certificates that programs on this machine trust."""
    named = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if not (named and Path(named).is_file()):
        pytest.skip("this machine has no bundle of CA certificates")
    return Path(named)


@pytest.fixture(scope="session")
def mirrors() -> dict[str, str]:
    """Return the mirror of docker.io that this machine has, if it has one."""
    connection = http.client.HTTPConnection(MIRROR, timeout=5)
    try:
        connection.request("GET", "/v2/")
        found = connection.getresponse().status == http.client.OK
    except OSError:
        found = False
    finally:
        connection.close()
    return {"docker.io": MIRROR} if found else {}


@pytest.fixture(scope="session")
def package_index() -> None:
    """Skip where PyPI does not answer."""
    command = [uv.find_uv_bin(), "pip", "compile", "--no-config", "--no-cache", "--quiet", "-"]
    done = subprocess.run(command, input="idna\n", capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"PyPI does not answer: {done.stderr.strip().splitlines()[-1:]}")


class Server:
    """An HTTP server of this process that keeps what it was asked.

    Args:
        address: Where it listens.
        login: `user:password` that requests have to bring; none where it is empty.

    """

    def __init__(self, address: str = "127.0.0.1", *, login: str = "") -> None:
        self.login = login
        self.pages: dict[str, bytes] = {}
        self.status = http.HTTPStatus.OK
        self.garbage = False
        self.hangs = False
        self.requests: list[str] = []
        self.on_request: Callable[[], None] = lambda: None
        self.stopping = threading.Event()
        self._server = http.server.ThreadingHTTPServer((address, 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.host = f"{address}:{self._server.server_port}"
        self.url = f"http://{self.host}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add_file(
        self, filename: str, content: bytes, *, index: str = "simple", hashed: bool = True
    ) -> None:
        """Offer a package's file as PEP 503 says, which lets an index give no hash."""
        name = filename.partition("-")[0].replace("_", "-").lower()
        page, path = f"/{index}/{name}/", f"/files/{quote(filename)}"
        fragment = f"#sha256={hashlib.sha256(content).hexdigest()}" if hashed else ""
        link = f'<a href="{path}{fragment}">{filename}</a>\n'
        self.pages[page] = self.pages.get(page, b"<!DOCTYPE html>\n") + link.encode()
        self.pages[path] = content

    def add_wheel(
        self,
        name: str,
        version: str,
        *requirements: str,
        tag: str = "py3-none-any",
        index: str = "simple",
        hashed: bool = True,
    ) -> None:
        """Offer a wheel of a module that knows its version."""
        info = f"{name}-{version}.dist-info"
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
        metadata += [f"Requires-Dist: {requirement}\n" for requirement in requirements]
        files = {
            f"{name}.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": "".join(metadata),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for path, text in files.items():
                # ZipInfo's own time is 1980-01-01; a name alone would get the clock's.
                archive.writestr(zipfile.ZipInfo(path), text)
        filename = f"{name}-{version}-{tag}.whl"
        self.add_file(filename, content.getvalue(), index=index, hashed=hashed)

    def add_base(self, repository: str, tag: str) -> str:
        """Offer a base image as a registry does, and return its digest."""
        platform = {"os": "linux", "architecture": "amd64"}
        image = {"digest": f"sha256:{'1' * 64}", "platform": platform}
        index = json.dumps({"manifests": [image]}).encode()
        self.pages[f"/v2/{repository}/manifests/{tag}"] = index
        return f"sha256:{hashlib.sha256(index).hexdigest()}"

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.login and authorization != wanted:
            return http.HTTPStatus.UNAUTHORIZED, b""
        if self.status != http.HTTPStatus.OK:
            return self.status, b"<html>no such luck"
        if self.garbage:
            return http.HTTPStatus.OK, b"\x00\xff garbage {"
        if path not in self.pages:
            return http.HTTPStatus.NOT_FOUND, b""
        return http.HTTPStatus.OK, self.pages[path]


def _media_type(path: str) -> str:
    if path.startswith("/v2/"):
        return "application/vnd.oci.image.index.v1+json"
    return "text/html" if path.endswith("/") else "application/octet-stream"


def _handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.requests.append(self.path)
            server.on_request()
            if server.hangs:
                server.stopping.wait(60)
                self.close_connection = True
                return
            status, body = server.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            if status == http.HTTPStatus.UNAUTHORIZED:
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.send_header("Content-Type", _media_type(self.path))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name is the protocol's

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return what starts servers; they end with the test."""
    yield from _start_servers()


@pytest.fixture(scope="module")
def start_server() -> Iterator[Callable[..., Server]]:
    """Return what starts servers; they end with the module's tests."""
    yield from _start_servers()


def _start_servers() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(address: str = "127.0.0.1", *, login: str = "") -> Server:
        server = Server(address, login=login).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
