"""Run a command that downloads, with what it downloads served from a bundle on this machine.

    python3 offline.py [--restore FOLDER] BUNDLE LOCK COPY -- COMMAND …

It runs in stages of an image's build that have no network but their own loopback: the standard
library alone. LOCK is copied to COPY with every address in it pointing to a server of this process,
which has the files of BUNDLE; the command verifies their hashes as ever. What it has written of
these addresses into JSON files of FOLDER is turned back.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path


def main(arguments: list[str]) -> int:
    at = arguments.index("--")
    options, command = arguments[:at], arguments[at + 1 :]
    folder = options[1] if options[0] == "--restore" else ""
    bundle, lock, copy = (Path(path) for path in options[-3:])
    files = json.loads((bundle / "files.json").read_text(encoding="utf-8"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make_handler(bundle, files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}/"
    text = lock.read_text(encoding="utf-8")
    copy.write_text(re.sub(r'"(https?)://', rf'"{here}\1/', text), encoding="utf-8")
    # A builder may hand its proxies to every step.
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, check=False, env=environment).returncode  # noqa: TID251 - envgen is not there
    for path in sorted(Path(folder).glob("*.json")) if folder else ():
        restored = re.sub(rf"{re.escape(here)}(https?)/", r"\1://", path.read_text("utf-8"))
        path.write_text(restored, encoding="utf-8")
    return done


def make_handler(bundle: Path, files: dict[str, str]) -> type[http.server.BaseHTTPRequestHandler]:
    """Return what answers requests for `/https/HOST/PATH` with the file of that address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            scheme, _, rest = self.path.lstrip("/").partition("/")
            name = files.get(f"{scheme}://{rest}")
            if name is None:
                self.send_error(404, "not in the bundle")
                return
            content = (bundle / "files" / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815 - the name is the protocol's

        def log_message(self, *args: object) -> None:
            pass

    return Handler


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
