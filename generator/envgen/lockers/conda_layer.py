"""conda.toml: the conda packages of an image, one row per file, as the image build installs them.

conda-lock.yml has no sizes, and its metadata change where no package does; an image layer shall be
built again only when its own packages change. PEP 751 knows no conda packages.
"""

import json
from collections.abc import Iterable

from envgen.lock.packages import LockedPackage
from envgen.lockers.conda_lock import SUBDIRS


def render_layer(packages: Iterable[LockedPackage]) -> str:
    """Return the text of a conda.toml."""
    lines = ["format = 1"]
    for package in packages:
        lines += ["", "[[packages]]"]
        lines += [f"name = {_quote(package.name)}", f"version = {_quote(package.version)}"]
        lines += [f"conda = {_quote(package.conda)}", "archives = ["]
        for platform, archive in package.downloads.items():
            size = "" if archive.size is None else f"size = {archive.size}, "
            lines.append(
                f"    {{ platform = {_quote(SUBDIRS[platform])}, url = {_quote(archive.url)}, "
                f"{size}sha256 = {_quote(archive.sha256)} }},"
            )
        lines.append("]")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are among TOML's, which also wants DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
