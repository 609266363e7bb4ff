"""How many bytes artifacts are, where the index did not say.

PyPI says it. PEP 503 indexes and many mirrors do not, and then the files themselves are asked.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import NetworkError
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lock.pool import Pool

_PARALLEL: Final = 8


def fill_sizes(
    packages: Iterable[LockedPackage], known: Mapping[str, int], ca_certificates: Path | None
) -> tuple[LockedPackage, ...]:
    """Return the packages with the sizes that `known` has by SHA-256 or that their servers tell.

    A size that cannot be had stays unknown: it decides no pin, and a failing request must not fail
    a lock.
    """
    packages = tuple(packages)
    artifacts = {
        artifact.sha256: artifact
        for package in packages
        for artifact in (*package.wheels, *package.downloads.values())
        if artifact.size is None
    }
    sizes = {digest: known[digest] for digest in artifacts if digest in known}
    asked = [artifact for digest, artifact in artifacts.items() if digest not in sizes]
    if asked:
        sizes |= _ask(asked, ca_certificates)
    return tuple(_with_sizes(package, sizes) for package in packages) if sizes else packages


def _ask(artifacts: list[Artifact], ca_certificates: Path | None) -> dict[str, int]:
    from envgen.registry.transport import Transport  # noqa: PLC0415 - only some indexes need it

    with Transport(ca_certificates=ca_certificates) as transport, Pool(_PARALLEL) as pool:

        def ask(artifact: Artifact) -> tuple[str, int | None]:
            try:
                answer = transport.head(artifact.url)
            except NetworkError:
                return artifact.sha256, None
            length = answer.headers.get("Content-Length", "")
            known = answer.status == 200 and length.isdigit()
            return artifact.sha256, int(length) if known else None

        answers = [pool.submit(ask, artifact) for artifact in artifacts]
        sizes = dict(answer.result() for answer in answers)
    return {digest: size for digest, size in sizes.items() if size is not None}


def _with_sizes(package: LockedPackage, sizes: Mapping[str, int]) -> LockedPackage:
    def sized(artifact: Artifact) -> Artifact:
        size = artifact.size if artifact.size is not None else sizes.get(artifact.sha256)
        return msgspec.structs.replace(artifact, size=size)

    return msgspec.structs.replace(
        package,
        wheels=tuple(sized(wheel) for wheel in package.wheels),
        downloads={platform: sized(found) for platform, found in package.downloads.items()},
    )
