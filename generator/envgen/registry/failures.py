"""What a user is told when a registry does not deliver.

No function here repeats what a server or a library said word for word where that may carry a
token, a signed URL or a proxy's password.
"""

from http import HTTPStatus

import msgspec
from urllib3 import exceptions

from envgen.errors import EnvgenError, NetworkError
from envgen.registry.reference import DOCKER_HUB, ImageReference


class _Fault(msgspec.Struct, frozen=True):
    code: str = ""


class _Faults(msgspec.Struct, frozen=True):
    errors: tuple[_Fault, ...] = ()


def unreachable(host: str, error: exceptions.HTTPError) -> EnvgenError:
    """Return the error for a request that got no answer."""
    match error:
        case exceptions.NameResolutionError():
            why, fix = "its name cannot be resolved", "check the name and the DNS of this machine"
        case exceptions.SSLError():
            why = f"its certificate is not trusted{_certificate_reason(error)}"
            fix = "name the CA bundle of your network: [network] ca-certificates, or SSL_CERT_FILE"
        case exceptions.ProxyError() | exceptions.ProxySchemeUnknown():
            why, fix = "the proxy did not let it through", "check HTTPS_PROXY and NO_PROXY"
        case exceptions.LocationValueError():
            why, fix = "this is not the address of a host", "check the address"
        case exceptions.NewConnectionError():
            why, fix = "it accepts no connection", "check host and port, or name a mirror"
        case exceptions.TimeoutError():
            why, fix = "it did not answer in time", "try again, or name a mirror"
        case _:
            why, fix = "the connection broke off", "try again, or name a mirror"
    return NetworkError.single(f"{host} cannot be reached", why=why, fix=fix)


def _certificate_reason(error: exceptions.HTTPError) -> str:
    reason = getattr(error.args[0] if error.args else None, "verify_message", "")
    return f": {reason}" if reason else ""


def refused(reference: ImageReference, status: int, body: bytes, *, logged_in: bool) -> EnvgenError:
    """Return the error for an answer whose status is not 200."""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return _needs_login(reference, status, logged_in=logged_in)
    if status == HTTPStatus.NOT_FOUND:
        return _missing(reference, body)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return NetworkError.single(
            f"{reference} was not delivered: too many requests",
            why=f"{reference.registry} limits how often one may ask (429)",
            fix=f"wait, run `docker login {reference.registry}`, or name a mirror",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return NetworkError.single(
            f"{reference} was not delivered",
            why=f"{reference.registry} has a failure of its own ({status})",
            fix="try again later, or name a mirror",
        )
    return NetworkError.single(
        f"{reference} was not delivered", why=f"{reference.registry} answered {status}"
    )


def _needs_login(reference: ImageReference, status: int, *, logged_in: bool) -> EnvgenError:
    host = reference.registry
    why = f"{host} refuses it to this login ({status})" if logged_in else f"{host} wants a login"
    if host == DOCKER_HUB:
        why += "; Docker Hub says so of repositories that do not exist, too"
    return NetworkError.single(
        f"{reference} may not be read", why=why, fix=f"check the name, or run `docker login {host}`"
    )


def _missing(reference: ImageReference, body: bytes) -> EnvgenError:
    if any(fault.code == "NAME_UNKNOWN" for fault in _read_faults(body)):
        why = f"{reference.registry} has no repository {reference.repository}"
    else:
        why = f"{reference.registry} has no such tag or digest, or no such repository"
    return NetworkError.single(f"{reference} does not exist", why=why, fix="check name and tag")


def not_taken(reference: ImageReference, status: int, body: bytes) -> EnvgenError:
    """Return the error for something that a registry should have stored and has not."""
    host = reference.registry
    what = f"{host} did not take {reference.repository}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return NetworkError.single(
            what,
            why=f"it wants a login that may write there ({status})",
            fix=f"check the name, or run `docker login {host}`",
        )
    codes = ", ".join(fault.code for fault in _read_faults(body) if fault.code)
    return NetworkError.single(what, why=f"it answered {status}{codes and f' ({codes})'}")


def _read_faults(body: bytes) -> tuple[_Fault, ...]:
    try:
        return msgspec.json.decode(body, type=_Faults).errors
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()


def garbage(about: ImageReference | str, why: str) -> EnvgenError:
    """Return the error for an answer that is not what a registry answers."""
    return NetworkError.single(
        f"the answer for {about} cannot be used",
        why=why,
        fix="check that the address is a container registry and that no proxy answers for it",
    )
