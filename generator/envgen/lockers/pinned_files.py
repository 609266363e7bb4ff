"""Whether files of a version that was locked before are still those that the index has."""

from collections.abc import Mapping

from envgen.errors import LockError, Problem

Pinned = Mapping[tuple[str, str], frozenset[str]]
"""SHA-256 of every file, by name and version of its package."""


def require_same_files(image: str, native: str, before: Pinned, after: Pinned) -> None:
    """Refuse a lock that recorded files which the index does not have any more.

    Lockers read the index again for a version that they keep, and would put other hashes in the
    place of those that were recorded. New files are welcome: wheels are uploaded one by one.

    Raises:
        LockError: With every package whose files differ.

    """
    problems = [
        Problem(
            what=f"{native} has files of {name} {version} that the index does not have",
            key=f"images.{image}",
            why=f"there is no file with sha256:{min(gone)}, so the lock was tampered with,\n"
            "or the index has replaced or removed what it served before",
            fix="find out which; `python -m envgen lock --upgrade` pins anew",
        )
        for (name, version), hashes in before.items()
        if (gone := hashes - after.get((name, version), hashes))
    ]
    if problems:
        raise LockError(*problems)
