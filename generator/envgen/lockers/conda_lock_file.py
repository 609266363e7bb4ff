"""The text of a conda-lock.yml: its rows for packages of PyPI, which uv pins and not conda-lock.

With them the file is the whole environment: `conda-lock install` installs it, and uv's pins are
kept when it is locked again. conda-lock sorts by manager, so they stand at the end.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from envgen.lock.packages import LockedPackage
from envgen.platforms import SUBDIRS

_ROW: Final = re.compile(r"^- .*\n(?:(?!- ).*\n)*", re.MULTILINE)
_PIP: Final = re.compile(r"^ {2}manager: pip$", re.MULTILINE)


def drop_pip_rows(text: str) -> str:
    """Return a conda-lock.yml without its rows for packages of PyPI."""
    head, separator, rows = text.partition("\npackage:\n")
    kept = _ROW.sub(lambda row: "" if _PIP.search(row[0]) else row[0], rows)
    return head + separator + kept


def add_pip_rows(text: str, packages: Iterable[LockedPackage], platforms: Iterable[str]) -> str:
    """Return a conda-lock.yml with rows for packages of PyPI at its end."""
    packages, platforms = tuple(packages), tuple(platforms)
    rows = (row for package in packages for row in _render_rows(package, platforms))
    return text + "".join(rows)


def _render_rows(package: LockedPackage, platforms: Iterable[str]) -> Iterator[str]:
    for platform in platforms:
        artifact = package.downloads.get(platform)
        if artifact is None:
            continue
        yield "".join(
            (
                f"- name: {_quote(package.name)}\n",
                f"  version: {_quote(package.version)}\n",
                "  manager: pip\n",
                f"  platform: {SUBDIRS[platform]}\n",
                "  dependencies: {}\n",
                f"  url: {_quote(artifact.url)}\n",
                f"  hash:\n    sha256: {_quote(artifact.sha256)}\n",
                "  category: main\n  optional: false\n",
            )
        )


def _quote(text: str) -> str:
    """Return a YAML scalar that is a string whatever it looks like: JSON's are YAML's."""
    return json.dumps(text)
