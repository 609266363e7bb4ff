"""Writes what belongs to one image to its registry (OCI distribution specification 1.1, "Push")."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from envgen.registry.failures import garbage, not_taken
from envgen.registry.manifest import ACCEPT
from envgen.registry.reader import Reader
from envgen.registry.reference import ImageReference
from envgen.registry.transport import Answer, Transport

INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"


class Writer:
    """Writes blobs and manifests of one repository, and nothing that is already there.

    Attributes:
        sent_bytes: What blobs have been sent so far.

    """

    def __init__(self, transport: Transport, reference: ImageReference, *, url: str) -> None:
        self.reference: Final = reference
        self.sent_bytes = 0
        self._transport = transport
        self._url = url
        # A token is for reading or for writing, and each of them begins without one.
        self._reading = self._open()
        self._writing = self._open()

    def write_blob(self, digest: str, size: int, chunks: Callable[[], Iterable[bytes]]) -> bool:
        """Write a blob, unless the repository has it; tell whether it was sent.

        Args:
            digest: Of its bytes.
            size: How many there are.
            chunks: Begins to yield them, each time from the start.

        Raises:
            NetworkError: It was not taken.

        """
        url = self._reading.url(f"blobs/{digest}")
        found = self._reading.ask(lambda login: self._transport.head(url, headers=login))
        if found.status == 200:
            return False
        place = self._upload(size, chunks)
        separator = "&" if urlsplit(place).query else "?"
        address = f"{place}{separator}{urlencode({'digest': digest})}"
        self._expect(201, self._ask("PUT", address))
        self.sent_bytes += size
        return True

    def _upload(self, size: int, chunks: Callable[[], Iterable[bytes]]) -> str:
        start = self._expect(202, self._ask("POST", self._writing.url("blobs/uploads/")))
        place = self._location(start, self._writing.url("blobs/uploads/"))
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        sent = self._login_and_send(
            place,
            lambda login: self._transport.upload(
                place, headers={**headers, **login}, chunks=chunks()
            ),
        )
        return self._location(self._expect(202, sent), place)

    def read_manifest(self, name: str) -> tuple[bytes, str]:
        """Return the bytes and the media type of what a tag or a digest names.

        Raises:
            NetworkError: It was not delivered.

        """
        answer = self._reading.read("manifests", name, accept=ACCEPT)
        return answer.body, answer.headers.get("Content-Type", "")

    def write_manifest(self, name: str, body: bytes, media_type: str) -> Mapping[str, str]:
        """Write a manifest under a tag or its digest; return the headers of the answer.

        Raises:
            NetworkError: It was not taken.

        """
        url = self._writing.url(f"manifests/{name}")
        headers = {"Content-Type": media_type}
        return self._expect(201, self._ask("PUT", url, headers, body)).headers

    def read_index(self, tag: str) -> dict[str, Any]:
        """Return the index that a tag names; an empty one where there is none.

        Raises:
            NetworkError: It was not delivered.

        """
        url = self._reading.url(f"manifests/{tag}")
        answer = self._reading.ask(
            lambda login: self._transport.get(url, headers={"Accept": INDEX_TYPE, **login})
        )
        if answer.status == 404:
            return {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}
        try:
            index: dict[str, Any] = json.loads(self._expect(200, answer).body)
        except ValueError as error:
            raise garbage(self.reference, f"{tag} is no index") from error
        return index

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        given = headers or {}
        return self._login_and_send(
            url,
            lambda login: self._transport.send(method, url, headers={**given, **login}, body=body),
        )

    def _login_and_send(self, url: str, send: Callable[[Mapping[str, str]], Answer]) -> Answer:
        """Return the answer; a token that has run out during a long upload is replaced once."""
        if urlsplit(url).netloc != urlsplit(self._url).netloc:
            return send({})  # a store beside the registry, whose address carries what it wants
        answer = self._writing.ask(send)
        if answer.status == 401:
            self._writing = self._open()
            answer = self._writing.ask(send)
        return answer

    def _location(self, answer: Answer, url: str) -> str:
        place = urljoin(url, answer.headers.get("Location", ""))
        before, after = urlsplit(url), urlsplit(place)
        if after.scheme not in {"https", before.scheme}:
            raise garbage(self.reference, "it wants uploads at an address that is not https")
        return place

    def _expect(self, status: int, answer: Answer) -> Answer:
        if answer.status != status:
            raise not_taken(self.reference, answer.status, answer.body)
        return answer

    def _open(self) -> Reader:
        return Reader(self._transport, self.reference, url=self._url)
