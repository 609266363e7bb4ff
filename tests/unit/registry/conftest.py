"""A registry in this process that answers as it is told, faults included."""

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Reply:
    """One answer. `hangs` never comes, `breaks` closes the connection without a word."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    breaks: bool = False


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: Message
    body: str

    @property
    def authorization(self) -> str | None:
        return self.headers.get("Authorization")


class FakeRegistry:
    """Answers each path with its replies in turn; the last one stays."""

    index_type = "application/vnd.oci.image.index.v1+json"
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    reply = Reply

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._routes: dict[str, list[Reply | Callable[[Request], Reply]]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.host = f"127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wrap_socket(self, wrap: Callable[..., Any]) -> None:
        self._server.socket = wrap(self._server.socket, server_side=True)

    def on(self, path: str, *replies: Reply | Callable[[Request], Reply]) -> None:
        self._routes[path] = list(replies)

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        replies = self._routes.get(request.path, [Reply(404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply if isinstance(reply, Reply) else reply(request)

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def add_blob(self, repository: str, content: Any) -> str:
        body = json.dumps(content).encode()
        digest = self.digest(body)
        self.on(f"/v2/{repository}/blobs/{digest}", Reply(body=body))
        return digest

    def add_image(self, repository: str, tag: str, config: dict[str, Any]) -> str:
        """Add an image for one platform and return its digest."""
        blob = self.add_blob(repository, config)
        return self.add_manifest(repository, tag, {"config": {"digest": blob}}, self.manifest_type)

    def add_index(self, repository: str, tag: str, *entries: dict[str, Any]) -> str:
        """Add an index and return its digest."""
        return self.add_manifest(repository, tag, {"manifests": entries}, self.index_type)

    def add_manifest(self, repository: str, tag: str, content: Any, media_type: str) -> str:
        reply = self.manifest(content, media_type)
        digest = reply.headers["Docker-Content-Digest"]
        for name in (tag, digest):
            self.on(f"/v2/{repository}/manifests/{name}", reply)
        return digest

    def manifest(self, content: Any, media_type: str = index_type) -> Reply:
        body = json.dumps(content).encode()
        headers = {"Content-Type": media_type, "Docker-Content-Digest": self.digest(body)}
        return Reply(body=body, headers=headers)

    @staticmethod
    def digest(body: bytes) -> str:
        return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _handler(registry: FakeRegistry) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            request = Request(self.command, path, query, self.headers, body)
            reply = registry.answer(request)
            if reply.hangs:
                registry.stopping.wait(10)
            if reply.hangs or reply.breaks:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            try:
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
            except OSError:  # the client has had enough
                self.close_connection = True

        do_POST = do_HEAD = do_PUT = do_PATCH = do_GET  # noqa: N815 - the names are the protocol's

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def make_registry() -> Iterator[Callable[[], FakeRegistry]]:
    registries: list[FakeRegistry] = []

    def make() -> FakeRegistry:
        registry = FakeRegistry()
        registries.append(registry)
        registry.start()
        return registry

    yield make
    for registry in registries:
        registry.stop()


@pytest.fixture
def registry(make_registry: Callable[[], FakeRegistry]) -> FakeRegistry:
    return make_registry()


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the machine's own logins, proxies and certificates away; return the file for logins."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder / "config.json"
