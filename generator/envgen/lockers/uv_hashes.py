"""Hashes that an index does not publish: the files are fetched, hashed and forgotten again."""

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from envgen.errors import NetworkError
from envgen.lock.pool import Pool
from envgen.lock.pylock import fits
from envgen.lockers import LockRequest
from envgen.lockers.indexes import list_logins
from envgen.lockers.uv_lock_file import LockedFile, add_hashes, drop_files, find_unhashed

_log = logging.getLogger(__name__)

_PARALLEL: Final = 2
"""A wheel of torch is close to a gigabyte: two fill most connections."""


class Hashed(NamedTuple):
    """A uv.lock in which every file that an image may install has a hash.

    `names` are the files that had none. `export` is the lock without what the image cannot install:
    `uv export` would fetch all of it for its hashes.
    """

    lock: str
    export: str
    names: tuple[str, ...]


def complete_hashes(text: str, request: LockRequest, ca_certificates: Path | None) -> Hashed:
    """Return a uv.lock with the hashes that its index does not publish.

    Raises:
        NetworkError: A file could not be fetched.

    """
    unhashed = find_unhashed(text)
    wanted = tuple(file for file in unhashed if fits(file.name, file.package, request))
    if not unhashed:
        return Hashed(text, text, ())
    hashes = _hash_files(wanted, request, ca_certificates)
    lock = add_hashes(text, hashes)
    others = (file.url for file in unhashed if file not in wanted)
    return Hashed(lock, drop_files(lock, others), tuple(sorted(file.name for file in wanted)))


def _hash_files(
    files: Iterable[LockedFile], request: LockRequest, ca_certificates: Path | None
) -> Mapping[str, str]:
    from envgen.registry.transport import Transport  # noqa: PLC0415 - few indexes need it

    with Transport(ca_certificates=ca_certificates) as transport, Pool(_PARALLEL) as pool:

        def fetch(file: LockedFile) -> str:
            _log.warning(
                "%s: the index gives no hash for %s; fetching it to compute one",
                request.image,
                file.name,
            )
            digest = hashlib.sha256()
            status = transport.download(
                file.url, headers=_login(file.url, request), write=digest.update
            )
            if status != 200:
                raise NetworkError.single(
                    f"{file.name} cannot be fetched to compute its hash",
                    key=f"images.{request.image}",
                    why=f"{urlsplit(file.url).netloc} answered {status}",
                )
            return digest.hexdigest()

        answers = {file.url: pool.submit(fetch, file) for file in files}
        return {url: answer.result() for url, answer in answers.items()}


def _login(url: str, request: LockRequest) -> dict[str, str]:
    """Return the header with the login of the index that a file is on; only for its own host."""
    from urllib3.util import make_headers  # noqa: PLC0415 - few indexes need it

    for address, names in list_logins(request.index, request.indexes):
        user, password = (os.environ.get(name, "") for name in names)
        if (user or password) and urlsplit(address)[:2] == urlsplit(url)[:2]:
            return make_headers(basic_auth=f"{user}:{password}")
    return {}
