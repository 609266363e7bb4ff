"""Questions to OSV: which of these packages have advisories, and what the advisories say.

The API is osv.dev's, version 1 (google.github.io/osv.dev/api).
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from envgen.errors import NetworkError
from envgen.registry.transport import Answer, Transport

DEFAULT_URL: Final = "https://api.osv.dev"
VARIABLE: Final = "ENVGEN_OSV_URL"
"""A mirror of the service, for networks that do not reach it."""

Key = tuple[str, str]
"""A package's normalised name and public version."""

_BATCH: Final = 500  # of the 1000 queries that one request may hold
_JSON: Final = {"Content-Type": "application/json"}


class Service:
    """OSV, or a mirror of it. Close it after use."""

    def __init__(self, *, ca_certificates: Path | None, url: str = "") -> None:
        self.url = (url or os.environ.get(VARIABLE) or DEFAULT_URL).rstrip("/")
        self._transport = Transport(ca_certificates=ca_certificates)
        self._documents: dict[str, Mapping[str, Any]] = {}

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._transport.__exit__(None, None, None)

    def find(self, packages: Iterable[Key]) -> dict[Key, list[Mapping[str, Any]]]:
        """Return the documents of all advisories on each package of PyPI.

        Raises:
            NetworkError: The service did not answer, or not with answers.

        """
        wanted = sorted(set(packages))
        found: dict[Key, list[Mapping[str, Any]]] = {key: [] for key in wanted}
        for batch in _batches(wanted):
            for key, ids in self._query(batch):
                found[key] += [self._read(each) for each in ids]
        return found

    def _query(self, keys: Sequence[Key]) -> Iterator[tuple[Key, list[str]]]:
        """Yield the advisories of each package, page by page."""
        open_ones = [(key, "") for key in keys]
        while open_ones:
            queries = [_ask(key, page) for key, page in open_ones]
            answer = self._ask("/v1/querybatch", json.dumps({"queries": queries}).encode())
            results = answer.get("results")
            if not isinstance(results, list) or len(results) != len(open_ones):
                raise self._garbage("it does not answer every question")
            following = []
            for (key, _), result in zip(open_ones, results, strict=True):
                yield key, [str(each["id"]) for each in result.get("vulns") or ()]
                if result.get("next_page_token"):
                    following.append((key, str(result["next_page_token"])))
            open_ones = following

    def _read(self, identity: str) -> Mapping[str, Any]:
        if identity not in self._documents:
            self._documents[identity] = self._ask(f"/v1/vulns/{quote(identity, safe='')}")
        return self._documents[identity]

    def _ask(self, path: str, body: bytes = b"") -> Mapping[str, Any]:
        url = f"{self.url}{path}"
        answer: Answer = (
            self._transport.send("POST", url, headers=_JSON, body=body)
            if body
            else self._transport.get(url, headers={})
        )
        if answer.status != 200:
            raise self._garbage(f"it answered {answer.status}")
        try:
            document = json.loads(answer.body)
        except ValueError as error:
            raise self._garbage("the answer is not JSON") from error
        if not isinstance(document, dict):
            raise self._garbage("the answer is not an object")
        return document

    def _garbage(self, why: str) -> NetworkError:
        return NetworkError.single(
            "the database of vulnerabilities did not answer as it should; nothing was audited",
            why=f"{self.url}: {why}",
            fix=f"try again, or name a mirror of OSV with {VARIABLE}",
        )


def _ask(key: Key, page: str) -> dict[str, Any]:
    name, version = key
    question = {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
    return question | ({"page_token": page} if page else {})


def _batches(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]
