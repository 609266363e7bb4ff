"""conda.toml: the conda packages of an image, one row per file, as the image build installs them.

conda-lock.yml has no sizes, and its metadata change where no package does; an image layer shall be
built again only when its own packages change. PEP 751 knows no conda packages.
"""

from collections.abc import Iterable

from envgen.lock.packages import LockedPackage
from envgen.platforms import SUBDIRS
from envgen.rendered import quote_toml


def render_layer(packages: Iterable[LockedPackage]) -> str:
    """Return the text of a conda.toml."""
    lines = ["format = 1"]
    for package in packages:
        lines += ["", "[[packages]]"]
        lines += [f"name = {quote_toml(package.name)}", f"version = {quote_toml(package.version)}"]
        lines += [f"conda = {quote_toml(package.conda)}", "archives = ["]
        for platform, archive in package.downloads.items():
            size = "" if archive.size is None else f"size = {archive.size}, "
            lines.append(
                f"    {{ platform = {quote_toml(SUBDIRS[platform])}, "
                f"url = {quote_toml(archive.url)}, {size}sha256 = {quote_toml(archive.sha256)} }},"
            )
        lines.append("]")
    return "\n".join(lines) + "\n"
