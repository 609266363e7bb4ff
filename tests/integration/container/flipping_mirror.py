"""A registry that passes on what another one has, with one byte of every large blob flipped."""

import http.client
import http.server
import sys

LARGE = 100_000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Docker tries TLS first, and takes HTTP only where an answer to that begins as HTTP's does.
    default_request_version = "HTTP/1.1"

    def do_GET(self) -> None:
        connection = http.client.HTTPConnection(sys.argv[1], timeout=60)
        headers = {"Accept": self.headers.get("Accept", "*/*")}
        connection.request(self.command, self.path, headers=headers)
        answer = connection.getresponse()
        found, body = answer.headers, answer.read()
        connection.close()
        if "/blobs/" in self.path and len(body) > LARGE:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        self.send_response(answer.status)
        for name in ("Content-Type", "Docker-Content-Digest"):
            if found.get(name):
                self.send_header(name, found[name])
        length = found.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name is the protocol's

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - for who started it
        server.serve_forever()
