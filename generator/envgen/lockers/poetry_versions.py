"""One version of each package, where a poetry.lock has several for the same platform.

poetry forks its resolution where requirements differ by marker, and may write what came of two
branches with markers that overlap. So with torch 2.15: it needs nvidia-cublas at one version
through an extra of cuda-toolkit, and at any through cuDNN, and the lock has two for one Linux.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from envgen.constraints import TranslationError
from envgen.constraints.poetry import translate_constraint
from envgen.errors import LockError
from envgen.lock.pylock import marker_environment
from envgen.lockers import LockRequest
from envgen.lockers.poetry import NATIVE
from envgen.lockers.poetry_lock import Entry, marker_of

_log = logging.getLogger(__name__)


def choose_versions(entries: Iterable[Entry], request: LockRequest) -> tuple[Entry, ...]:
    """Return the packages of a poetry.lock without versions that others of them contradict.

    Raises:
        LockError: Of two versions for one platform none is the only one that all others admit.

    """
    entries = tuple(entries)
    dropped: list[Entry] = []
    for platform in request.platforms:
        environment = marker_environment(request.python, platform)
        here = [entry for entry in entries if _applies(entry, environment)]
        for name in _list_doubles(here):
            candidates = [entry for entry in here if entry["name"] == name]
            admitted = [entry for entry in candidates if _is_admitted(entry, here)]
            if len(admitted) != 1:
                raise _refuse(request.image, candidates, platform)
            dropped += [entry for entry in candidates if entry not in admitted]
    for entry in dropped:
        _log.info("%s: %s %s is left out", NATIVE, entry["name"], entry["version"])
    return tuple(entry for entry in entries if entry not in dropped)


def _applies(entry: Entry, environment: Mapping[str, Any]) -> bool:
    text = marker_of(entry)
    return not text or Marker(text).evaluate(environment)


def _list_doubles(entries: Iterable[Entry]) -> list[str]:
    names = [entry["name"] for entry in entries]
    return sorted({name for name in names if names.count(name) > 1})


def _is_admitted(entry: Entry, others: Iterable[Entry]) -> bool:
    """Return whether a version meets what the packages beside it want of it, extras included."""
    return all(
        SpecifierSet(specifier).contains(entry["version"], prereleases=True)
        for other in others
        for specifier in _list_wishes(other, entry["name"])
    )


def _list_wishes(entry: Entry, name: str) -> Iterator[str]:
    """Yield what a package wants of another; what PEP 440 cannot say is passed over."""
    for wanted, given in entry.get("dependencies", {}).items():
        if canonicalize_name(wanted) != name:
            continue
        for one in given if isinstance(given, list) else [given]:
            try:
                yield translate_constraint(one if isinstance(one, str) else one.get("version", "*"))
            except TranslationError:
                continue


def _refuse(image: str, candidates: Iterable[Entry], platform: str) -> LockError:
    entries = tuple(candidates)
    versions = " and ".join(entry["version"] for entry in entries)
    name = entries[0]["name"]
    return LockError.single(
        f"poetry has put {name} {versions} into {NATIVE} for {platform}",
        key=f"images.{image}",
        why="only one of them can be installed, and nothing in the lock tells which",
        fix=f"add {name + '==' + entries[0]['version']!r} to the image's dependencies,\n"
        "or lock the image with uv",
    )
