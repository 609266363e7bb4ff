"""Digests of base images: from their registry, else from the bundled table, else an error."""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import LockError, NetworkError, Problem, SpecError
from envgen.lock.model import LockedBase
from envgen.registry.client import fetch_config, fetch_digest
from envgen.registry.reference import parse_reference
from envgen.tables import BaseImage, bases, find_base

_log = logging.getLogger(__name__)


def pin_base(image: str, *, mirrors: Mapping[str, str], ca_certificates: Path | None) -> LockedBase:
    """Return the base image with its digest of today.

    Raises:
        NetworkError: The registry did not deliver, and the table has no row for the image.
        SpecError: The image is an official Python that does not exist.

    """
    reference = parse_reference(image)
    if reference.digest:
        return LockedBase(image=image, digest=reference.digest, origin="the spec")
    try:
        fetched = fetch_digest(reference, mirrors=mirrors, ca_certificates=ca_certificates)
    except NetworkError as error:
        return _pin_from_table(image, error)
    return LockedBase(
        image=image,
        digest=fetched.digest,
        platforms=tuple(sorted(fetched.platforms)),
        origin="registry",
    )


_ABOUT_CUDA: Final = re.compile(
    r"CUDA_VERSION|NVIDIA_(?:REQUIRE_.+|DISABLE_REQUIRE|PRODUCT_NAME)|NV_CUDNN_VERSION"
    r"|NCCL_VERSION|NV_CUDA_COMPAT_PACKAGE|LD_LIBRARY_PATH|_CUDA_COMPAT_(?:PATH|STATUS)"
)


def read_environment(
    base: LockedBase, *, mirrors: Mapping[str, str], ca_certificates: Path | None
) -> LockedBase:
    """Return a base image with its variables about CUDA; as it is where no registry answers."""
    name = base.image.partition("@")[0]
    platform = next((p for p in base.platforms if p == "linux/amd64"), "") or next(
        iter(base.platforms), "linux/amd64"
    )
    try:
        config = fetch_config(
            parse_reference(f"{name}@{base.digest}"),
            platform=platform,
            mirrors=mirrors,
            ca_certificates=ca_certificates,
        )
    except NetworkError as error:
        _log.warning("%s; its CUDA is judged by its name", error.problems[0].what)
        return base
    section = config.get("config")
    entries = section.get("Env") if isinstance(section, dict) else None
    pairs = (str(entry).partition("=") for entry in entries or ())
    environment = {name: value for name, _, value in sorted(pairs) if _ABOUT_CUDA.fullmatch(name)}
    return msgspec.structs.replace(base, environment=environment)


def _pin_from_table(image: str, error: NetworkError) -> LockedBase:
    row = find_base(image)
    # A digest that may be one platform's image would pin the wrong thing in silence.
    if row is None or row.kind != "index":
        raise _unknown_python(image) or NetworkError(
            *error.problems,
            Problem(
                what=f"{image} has no proven digest in envgen's own table either",
                fix="reach its registry or a mirror (network.registry-mirrors), or write the "
                'digest into the spec: base = "IMAGE@sha256:…"',
            ),
        )
    _log.warning(
        "%s; its digest comes from envgen's own table (%s)", error.problems[0].what, _age(row)
    )
    return LockedBase(image=image, digest=row.digest, origin=row.source)


def _age(row: BaseImage) -> str:
    seen = f"seen in {row.seen} public repositor{'y' if row.seen == 1 else 'ies'}"
    return f"{seen}, {row.date}" if row.date else seen


def _unknown_python(image: str) -> SpecError | None:
    """Return an error for a slim Python that no table knows, as 3.99 would be."""
    repository, _, tag = image.rpartition(":")
    version, slim, _ = tag.partition("-slim-")
    known = sorted(
        {row.python for row in bases() if row.python}, key=lambda text: int(text.partition(".")[2])
    )
    if repository != "docker.io/library/python" or not slim or version in known:
        return None
    return SpecError.single(
        f"there is no known image with Python {version}",
        key="project.python",
        why=f"the registry does not deliver {image}, and it is not among the known ones",
        fix="use one of " + ", ".join(known),
    )


def check_platforms(base: LockedBase, platforms: Iterable[str], image: str) -> None:
    """Refuse a base that is not there for a platform of the image.

    Raises:
        LockError: A platform is missing; a base whose platforms are not known passes.

    """
    # A variant (linux/arm64/v8) answers for its architecture.
    have = {"/".join(platform.split("/")[:2]) for platform in base.platforms}
    missing = [platform for platform in platforms if have and platform not in have]
    if missing:
        raise LockError.single(
            f"{base.image} is not there for {', '.join(missing)}",
            key=f"images.{image}.platforms",
            why=f"it is for {', '.join(sorted(have))}",
            fix="take the platform out, or name another base",
        )
