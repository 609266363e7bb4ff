"""HTTP as registries need it: retries that wait, redirects that forget, answers that end.

urllib3 has retries and redirects of its own. They are not used, because its retries cannot be
bounded in time and its redirects neither choose the proxy anew nor refuse plain HTTP.
"""

import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import urllib3
from urllib3 import exceptions

from envgen import __version__
from envgen.errors import NetworkError
from envgen.registry.failures import garbage, unreachable
from envgen.registry.proxies import find_proxy, open_pool
from envgen.registry.reference import split_location

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""The size that registries themselves allow a manifest (OCI distribution specification 1.1)."""

MAX_WAIT_S: Final = 20.0
"""How long the retries of one request may wait, all together."""

_BACKOFF_S: Final = (0.5, 1.0)
_MAX_REDIRECTS: Final = 5
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=20.0)
# A registry answers once it has stored a layer, and some move it to another place for that.
_TRANSFER_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=600.0)
_TRANSFER_CHUNK: Final = 1024 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FOLLOWED: Final = frozenset({"GET", "HEAD"})  # the others carry what is meant for one host
_RETRIED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
# A read that timed out is not repeated: whoever does not answer in 20 s is not helped by more.
_RETRIED_ERRORS: Final = (
    exceptions.ConnectTimeoutError,
    exceptions.NewConnectionError,
    exceptions.ProtocolError,
    exceptions.ProxyError,
)

_Body = str | bytes | Iterable[bytes] | None

_log = logging.getLogger(__name__)

# At DEBUG it writes whole URLs, and with them the signatures that redirects carry.
logging.getLogger("urllib3").setLevel(logging.INFO)


class _PassingError(NetworkError):
    """A request got no answer, and the next one may."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]  # its keys in any case
    body: bytes


class Transport:
    """Connections to registries, with one set of trusted certificates. Close it after use."""

    def __init__(
        self, *, ca_certificates: Path | None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._tls = _trust(ca_certificates)
        self._sleep = sleep
        self._pools: dict[str, urllib3.PoolManager] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pool in self._pools.values():
            pool.clear()

    def get(self, url: str, *, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET, whatever its status; redirects are followed.

        Raises:
            NetworkError: There is no answer, or one that is too large.

        """
        return self._request("GET", url, headers, None)

    def head(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a HEAD, whatever its status; redirects are followed.

        Raises:
            NetworkError: There is no answer.

        """
        return self._request("HEAD", url, headers or {}, None)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Return the answer to a POST or a PUT of a small body, whatever its status.

        Raises:
            NetworkError: There is no answer, or one that is too large.

        """
        return self._request(method, url, headers, body)

    def upload(self, url: str, *, headers: Mapping[str, str], chunks: Iterable[bytes]) -> Answer:
        """Return the answer to a PATCH of a body of any size, which is sent once.

        Raises:
            NetworkError: There is no answer, or one that is too large.

        """
        return self._send("PATCH", url, headers, chunks, timeout=_TRANSFER_TIMEOUT)

    def download(
        self, url: str, *, headers: Mapping[str, str], write: Callable[[bytes], object]
    ) -> int:
        """Hand the body of the answer to a GET to `write`, piece by piece; return its status.

        Nothing is written of an answer whose status is not 200. Redirects are followed.

        Raises:
            NetworkError: There is no answer, or it breaks off.

        """
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                response = self._open("GET", url, headers, None, _TRANSFER_TIMEOUT)
                location = response.headers.get("Location", "")
                if response.status == 200:
                    for chunk in response.stream(_TRANSFER_CHUNK, decode_content=False):
                        write(chunk)
                response.drain_conn()
                response.release_conn()
            except exceptions.HTTPError as error:
                raise unreachable(_host(url), error) from error
            if not location or response.status not in _REDIRECTS:
                return response.status
            url, headers = _redirect(url, location, headers)
        raise garbage(_host(url), "it redirects without end")

    def post(self, url: str, *, form: Mapping[str, str]) -> Answer:
        """Return the answer to a form; a redirect is an answer, since forms carry secrets.

        Raises:
            NetworkError: There is no answer, or one that is too large.

        """
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._request("POST", url, headers, urlencode(form))

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: str | bytes | None
    ) -> Answer:
        waited = 0.0
        for backoff in _BACKOFF_S:
            delay = backoff
            try:
                answer = self._follow(method, url, headers, body)
            except _PassingError as error:
                _log.info("%s; trying again", error.problems[0].what)
            else:
                delay = max(backoff, _retry_after(answer))
                if answer.status not in _RETRIED_STATUSES or waited + delay > MAX_WAIT_S:
                    return answer
                _log.info("%s answered %d; trying again", _host(url), answer.status)
            self._sleep(delay)
            waited += delay
        return self._follow(method, url, headers, body)

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: str | bytes | None
    ) -> Answer:
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._send(method, url, headers, body)
            location = answer.headers.get("Location", "")
            followed = method in _FOLLOWED and answer.status in _REDIRECTS
            if not (followed and location):
                return answer
            url, headers = _redirect(url, location, headers)
        raise garbage(_host(url), "it redirects without end")

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: _Body,
        *,
        timeout: urllib3.Timeout | None = None,
    ) -> Answer:
        try:
            response = self._open(method, url, headers, body, timeout or _TIMEOUT)
            content = response.read(MAX_BODY_BYTES + 1)
        except exceptions.HTTPError as error:
            failure = unreachable(_host(url), error)
            if isinstance(error, _RETRIED_ERRORS):
                raise _PassingError(*failure.problems) from error
            raise failure from error
        if len(content) > MAX_BODY_BYTES:
            response.close()
            raise garbage(_host(url), f"it is larger than {MAX_BODY_BYTES} bytes")
        response.release_conn()
        # The path only: what follows it may be a signature.
        _log.debug("%s %s%s: %d", method, _host(url), urlsplit(url).path, response.status)
        return Answer(status=response.status, headers=response.headers, body=content)

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: _Body,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        return self._pool(url).request(
            method,
            url,
            body=body,
            headers={"User-Agent": f"envgen/{__version__}", **headers},
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = find_proxy(url)
        if proxy not in self._pools:
            self._pools.setdefault(proxy, open_pool(proxy, self._tls))
        return self._pools[proxy]


def _host(url: str) -> str:
    return split_location(url)[0]


def _trust(ca_certificates: Path | None) -> ssl.SSLContext:
    """Return a context that trusts a bundle; without one, SSL_CERT_FILE or the system's."""
    try:
        return ssl.create_default_context(cafile=ca_certificates)
    except OSError as error:  # ssl.SSLError, for a file without certificates, is one
        raise NetworkError.single(
            "the CA certificates cannot be loaded",
            file=str(ca_certificates or ""),
            why="it is not a PEM file" if isinstance(error, ssl.SSLError) else error.strerror or "",
            fix="name a PEM file that holds the certificates to trust",
        ) from error


def _redirect(url: str, location: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    try:
        target = urljoin(url, location)
        return target, _headers_after_redirect(headers, url, target)
    except ValueError as error:
        raise garbage(_host(url), "it redirects to what is no address") from error


def _headers_after_redirect(
    headers: Mapping[str, str], source: str, target: str
) -> Mapping[str, str]:
    before, after = urlsplit(source), urlsplit(target)
    if after.scheme not in {"https", before.scheme}:
        raise garbage(_host(source), "it redirects to an address that is not https")
    if (before.scheme, before.netloc) == (after.scheme, after.netloc):
        return headers
    return {name: value for name, value in headers.items() if name != "Authorization"}


def _retry_after(answer: Answer) -> float:
    """Return the seconds that a server wants to be left alone, 0 where it does not say."""
    try:
        return urllib3.Retry().parse_retry_after(answer.headers.get("Retry-After", "0"))
    except exceptions.InvalidHeader:
        return 0.0
