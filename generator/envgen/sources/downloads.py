"""The files that the lock names, fetched and held to their SHA-256."""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from envgen.errors import LockError, NetworkError
from envgen.lock.packages import Artifact
from envgen.registry.credentials import Credential
from envgen.registry.transport import Transport


class Downloads:
    """Fetches locked files into a folder.

    Args:
        folder: Where to.
        index: The package index of the spec, which gets the login of the environment.
        ca_certificates: A PEM file to trust instead of the system's certificates.

    """

    def __init__(self, folder: Path, *, index: str, ca_certificates: Path | None) -> None:
        self._folder = folder
        self._index = index
        self._transport = Transport(ca_certificates=ca_certificates)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transport.__exit__(kind, error, traceback)

    def fetch(self, artifact: Artifact) -> Path:
        """Return a locked file.

        Raises:
            LockError: What is served is another file.
            NetworkError: It was not delivered.

        """
        target = self._folder / artifact.sha256
        digest = hashlib.sha256()
        with target.open("wb") as stream:

            def write(chunk: bytes) -> None:
                digest.update(chunk)
                stream.write(chunk)

            status = self._transport.download(
                artifact.url, headers=self._login(artifact.url), write=write
            )
        if status != 200:
            host = urlsplit(artifact.url).hostname
            raise NetworkError.single(
                f"{artifact.filename} was not delivered", why=f"{host} answered {status}"
            )
        if digest.hexdigest() != artifact.sha256:
            raise LockError.single(
                f"{artifact.filename} is not the file that was locked",
                why=f"its SHA-256 is {digest.hexdigest()}, and the lock says {artifact.sha256}",
                fix="find out who changed it; a published file never changes by itself",
            )
        return target

    def _login(self, url: str) -> dict[str, str]:
        user = os.environ.get("ENVGEN_INDEX_USERNAME", "")
        password = os.environ.get("ENVGEN_INDEX_PASSWORD", "")
        if not (user or password) or urlsplit(url).netloc != urlsplit(self._index).netloc:
            return {}
        return {"Authorization": Credential(username=user, password=password).basic}
