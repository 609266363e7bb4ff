"""Reads what one registry has of one image, logged in where it must be."""

from collections.abc import Iterator
from typing import Final

from envgen.registry.authorization import Challenge, authorize, parse_challenge
from envgen.registry.credentials import Credential, find_credential
from envgen.registry.failures import refused
from envgen.registry.proxies import is_loopback
from envgen.registry.reference import DOCKER_HUB, ImageReference, split_location
from envgen.registry.transport import Answer, Transport

_DOCKER_HUB_HOST: Final = "registry-1.docker.io"

# 429: Docker Hub allows more to those who are logged in.
_REFUSALS: Final = frozenset({401, 403, 429})


class Reader:
    """Reads what belongs to one image: without a login first, with the user's where it must."""

    def __init__(self, transport: Transport, reference: ImageReference, *, url: str) -> None:
        self.reference: Final = reference
        self._transport = transport
        self._url = url
        self._challenge: Challenge | None = None
        self._logins = self._find_logins()
        self._authorization = ""
        self._logged_in = False

    def read(self, kind: str, name: str, *, accept: str) -> Answer:
        """Return a manifest (`manifests`, tag or digest) or a blob (`blobs`, digest).

        Raises:
            NetworkError: It was not delivered.

        """
        url = f"{self._url}/v2/{self.reference.repository}/{kind}/{name}"
        answer = self._send(url, accept)
        while answer.status in _REFUSALS and self._log_in(answer):
            answer = self._send(url, accept)
        if answer.status != 200:
            raise refused(self.reference, answer.status, answer.body, logged_in=self._logged_in)
        return answer

    def _send(self, url: str, accept: str) -> Answer:
        headers = {"Accept": accept}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return self._transport.get(url, headers=headers)

    def _log_in(self, answer: Answer) -> bool:
        """Take the next login that the registry accepts; False where there is none left."""
        challenge = parse_challenge(answer.headers.get("WWW-Authenticate", ""))
        self._challenge = challenge or self._challenge
        if self._challenge is None:
            return False
        for login in self._logins:
            self._logged_in = login is not None
            self._authorization = authorize(
                self._transport,
                self._challenge,
                login,
                reference=self.reference,
                plain_http=self._url.startswith("http:"),
            )
            if self._authorization:
                return True
        return False

    def _find_logins(self) -> Iterator[Credential | None]:
        yield None
        credential = find_credential(self.reference.registry)
        if credential:
            yield credential


def base_url(location: str) -> str:
    """Return the URL of a registry that is given by its name, its host or a URL.

    As with the Docker client, plain HTTP is for this machine; elsewhere it takes `http://`.
    """
    host, _ = split_location(location)
    scheme, separator, _ = location.partition("://")
    if not separator:
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        scheme = "http" if is_loopback(name.strip("[]")) else "https"
    return f"{scheme}://{_DOCKER_HUB_HOST if host == DOCKER_HUB else host}"
