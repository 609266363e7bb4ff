"""How a registry is asked for leave to read.

The exchange is the one of https://distribution.github.io/distribution/spec/auth/token/: a request
without a login is refused with a challenge, which names where to get a token for it.
"""

import re
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from envgen.registry.credentials import Credential
from envgen.registry.failures import garbage, refused
from envgen.registry.reference import ImageReference
from envgen.registry.transport import Answer, Transport

_PARAMETER: Final = re.compile(
    r'(?:(\w+)[ \t]+)?(\w+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))'
)
_TOKEN: Final = re.compile(r"[!-~]+")  # anything else could end the header it is put into


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry wants before it answers."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


class _TokenAnswer(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


def parse_challenge(header: str) -> Challenge | None:
    """Return the challenge to meet, of those in a `WWW-Authenticate` header: Bearer before Basic.

    None where neither is there. A header without a scheme and parameters is not an error.
    """
    found: dict[str, dict[str, str]] = {}
    parameters: dict[str, str] = {}
    for scheme, name, quoted, plain in _PARAMETER.findall(header):
        if scheme:
            parameters = found.setdefault(scheme.lower(), {})
        parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) or plain
    for scheme in ("bearer", "basic"):
        if scheme in found:
            known = {key: found[scheme].get(key, "") for key in ("realm", "service", "scope")}
            return Challenge(scheme=scheme, **known)
    return None


def authorize(
    transport: Transport,
    challenge: Challenge,
    credential: Credential | None,
    *,
    reference: ImageReference,
    plain_http: bool,
) -> str:
    """Return the value of an `Authorization` header, empty where the login is not accepted.

    Args:
        transport: The way to the token server.
        challenge: What the registry wants.
        credential: The login; None asks for what anybody may read.
        reference: What is to be read.
        plain_http: Whether the registry itself is reached without TLS.

    Raises:
        NetworkError: The token server cannot be reached, or does not do its work.

    """
    if challenge.scheme == "basic":
        return credential.basic if credential else ""
    if _scheme(challenge.realm) not in ({"https", "http"} if plain_http else {"https"}):
        raise garbage(reference.registry, "its token server is not reached by https")
    scope = challenge.scope or f"repository:{reference.repository}:pull"
    answer = _ask_token(transport, challenge, credential, scope)
    if answer.status in {400, 401, 403}:
        return ""
    if answer.status != 200:
        raise refused(reference, answer.status, b"", logged_in=credential is not None)
    return f"Bearer {_token(answer, reference.registry)}"


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _ask_token(
    transport: Transport, challenge: Challenge, credential: Credential | None, scope: str
) -> Answer:
    fields = {"service": challenge.service, "scope": scope}
    if credential and credential.identity_token:
        # https://distribution.github.io/distribution/spec/auth/oauth/
        form = {"grant_type": "refresh_token", "refresh_token": credential.identity_token}
        return transport.post(challenge.realm, form={**form, **fields, "client_id": "envgen"})
    separator = "&" if urlsplit(challenge.realm).query else "?"
    headers = {"Authorization": credential.basic} if credential else {}
    return transport.get(f"{challenge.realm}{separator}{urlencode(fields)}", headers=headers)


def _token(answer: Answer, registry: str) -> str:
    try:
        found = msgspec.json.decode(answer.body, type=_TokenAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = _TokenAnswer()
    token = found.token or found.access_token
    if not _TOKEN.fullmatch(token):
        raise garbage(registry, "its token server did not send a token")
    return token
