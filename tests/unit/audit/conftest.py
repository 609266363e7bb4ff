"""A service that answers as OSV does (google.github.io/osv.dev/api), on this machine."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Osv:
    """What the service knows, and what it was asked."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.page = 1000
        self.status = 200
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    def add(self, identity: str, name: str, fixed: str = "", **more: Any) -> None:
        events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
        span = {"type": "ECOSYSTEM", "events": events}
        affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [span]}
        self.documents[identity] = {"id": identity, "affected": [affected], **more}

    def answer(self, query: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(query)
        name = query["package"]["name"]
        ids = [
            identity
            for identity, document in self.documents.items()
            if any(each["package"]["name"] == name for each in document["affected"])
        ]
        start = int(query.get("page_token", 0))
        rest = ids[start + self.page :]
        answer: dict[str, Any] = {"vulns": [{"id": each} for each in ids[start:][: self.page]]}
        return answer | ({"next_page_token": str(start + self.page)} if rest else {})


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[Osv]:
    """Return a service that knows nothing yet, and that envgen asks."""
    known = Osv()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            results = [known.answer(query) for query in json.loads(body)["queries"]]
            self.send({"results": results})

        def do_GET(self) -> None:
            self.send(known.documents[self.path.rpartition("/")[2]])

        def send(self, document: dict[str, Any]) -> None:
            content = json.dumps(document).encode()
            self.send_response(known.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        known.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("ENVGEN_OSV_URL", known.url)
        yield known
        server.shutdown()
        thread.join()
