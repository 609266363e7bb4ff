"""Reads what one registry has of one image, logged in where it must be."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from envgen.errors import EnvgenError
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
        url = self.url(f"{kind}/{name}")
        answer = self.ask(
            lambda login: self._transport.get(url, headers={"Accept": accept, **login})
        )
        if answer.status != 200:
            raise self.refused(answer)
        return answer

    def download(self, digest: str, write: Callable[[bytes], object]) -> None:
        """Hand a blob of any size to `write`, piece by piece, unverified.

        Raises:
            NetworkError: It was not delivered.

        """
        url = self.url(f"blobs/{digest}")
        # A manifest was read with the login that blobs want, too.
        status = self._transport.download(url, headers=self._login(), write=write)
        if status != 200:
            raise refused(self.reference, status, b"", logged_in=self._logged_in)

    def url(self, path: str) -> str:
        """Return the address of something that belongs to the image."""
        return f"{self._url}/v2/{self.reference.repository}/{path}"

    def ask(self, send: Callable[[Mapping[str, str]], Answer]) -> Answer:
        """Return the answer to a request, sent again with a login as long as it is refused.

        Args:
            send: Sends it with the headers that log in.

        Raises:
            NetworkError: There is no answer, or none of the server that gives out tokens.

        """
        answer = send(self._login())
        while answer.status in _REFUSALS and self._log_in(answer):
            answer = send(self._login())
        return answer

    def refused(self, answer: Answer) -> EnvgenError:
        """Return the error for an answer that is not the wanted one."""
        return refused(self.reference, answer.status, answer.body, logged_in=self._logged_in)

    def _login(self) -> Mapping[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

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
