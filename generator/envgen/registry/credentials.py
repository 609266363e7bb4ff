"""Logins for registries, from where the Docker client keeps them.

The rules are the Docker client's: a helper for the one registry (`credHelpers`) goes before the
helper for all (`credsStore`), and that before what the file holds itself (`auths`).
https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import EnvgenError, NetworkError, ToolError
from envgen.process import run
from envgen.registry.reference import DOCKER_HUB, split_location

_DOCKER_HUB_KEY: Final = "https://index.docker.io/v1/"
"""The name under which every Docker client files the login for docker.io."""

_TOKEN_USER: Final = "<token>"  # noqa: S105 - the user name that marks an identity token
_HELPER_TIMEOUT_S: Final = 60.0  # a helper may ask its user to unlock a keychain


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A login: a user name with a password, or an identity token. Its text shows neither."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return "Credential(***)"

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


class _Entry(msgspec.Struct, frozen=True):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class _Config(msgspec.Struct, frozen=True, rename="camel"):
    auths: dict[str, _Entry] = {}
    creds_store: str = ""
    cred_helpers: dict[str, str] = {}


class _HelperAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    username: str
    secret: str


def find_credential(registry: str) -> Credential | None:
    """Return the login that the Docker client has for a registry, or None.

    Raises:
        NetworkError: The client's configuration, or a helper that it names, cannot be used.

    """
    path = _config_path()
    if path is None:
        return None
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_Config)
        stored = _stored(config, registry)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        # The error itself may quote the file, and with it a secret.
        raise NetworkError.single(
            "the Docker client's configuration cannot be read",
            file=str(path),
            why=(isinstance(error, OSError) and error.strerror) or "it is damaged",
            fix="mend it, or set DOCKER_CONFIG to another folder",
        ) from None
    helper = config.cred_helpers.get(registry, config.creds_store)
    return (_ask_helper(helper, registry) if helper else None) or stored


def _config_path() -> Path | None:
    try:
        folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    except RuntimeError:  # no home, as for a numeric user in a container
        return None
    path = folder / "config.json"
    return path if path.is_file() else None


def _key(registry: str) -> str:
    return _DOCKER_HUB_KEY if registry == DOCKER_HUB else registry


def _stored(config: _Config, registry: str) -> Credential | None:
    key = _key(registry)
    hosts = {split_location(name)[0]: entry for name, entry in config.auths.items()}
    entry = config.auths.get(key) or hosts.get(split_location(key)[0])
    if entry is None:
        return None
    if entry.identitytoken:
        return Credential(identity_token=entry.identitytoken)
    username, password = entry.username, entry.password
    if entry.auth:
        username, password = _decode_pair(entry.auth)
    return Credential(username=username, password=password) if username else None


def _decode_pair(auth: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(auth, validate=True).decode()
    except binascii.Error as error:
        raise ValueError from error
    username, _, password = text.partition(":")
    return username, password.rstrip("\0")  # older clients padded with NUL


def _ask_helper(helper: str, registry: str) -> Credential | None:
    program = f"docker-credential-{helper}"
    try:
        done = run((program, "get"), input_text=_key(registry), timeout_s=_HELPER_TIMEOUT_S)
    except ToolError as error:
        raise _helper_failed(program, registry, error.problems[0].what) from error
    if done.returncode != 0:
        # The protocol knows no other sign than this sentence, on standard output.
        if "credentials not found" in done.stdout:
            return None
        raise _helper_failed(program, registry, f"{program} ended with {done.returncode}")
    try:
        answer = msgspec.json.decode(done.stdout, type=_HelperAnswer)
    except msgspec.MsgspecError:
        raise _helper_failed(program, registry, "its answer is not JSON") from None
    if answer.username == _TOKEN_USER:
        return Credential(identity_token=answer.secret)
    return Credential(username=answer.username, password=answer.secret)


def _helper_failed(program: str, registry: str, why: str) -> EnvgenError:
    return NetworkError.single(
        f"the login for {registry} cannot be had from {program}",
        why=why,
        fix=f"install {program}, or take it out of the Docker client's config.json",
    )
