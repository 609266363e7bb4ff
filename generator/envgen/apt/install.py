"""Fetch the packages of an apt.toml, and find what installing them changed.

    python3 apt.py fetch apt.toml /debs
    python3 apt.py collect apt.toml /base /system /out [--line FILE=LINE] …

It runs in stages of the image's build, where nothing of envgen is: the standard library alone. The
base's own apt installs between the two, from these files and without any other source.
"""

# Trees of tens of thousands of files: a Path for each of them takes as long as the work.
# ruff: noqa: PTH101,PTH102,PTH103,PTH114,PTH115,PTH118,PTH211

from __future__ import annotations

import argparse
import filecmp
import fnmatch
import hashlib
import os
import platform
import shutil
import ssl
import stat
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10: pip brings the parser that became tomllib.
    from pip._vendor import tomli as tomllib  # type: ignore[no-redef]

if TYPE_CHECKING:
    from collections.abc import Iterator

PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
CHUNK = 1024 * 1024
TRIES = 3
PARALLEL = 8
STATUS = "var/lib/dpkg/status"

# What a container's runtime makes, and folders whose content is for one run.
SKIPPED = {"dev", "proc", "sys", "run", "tmp", "var/tmp", "root"}
SKIPPED |= {"etc/hosts", "etc/hostname", "etc/resolv.conf", "usr/sbin/policy-rc.d"}

# What tells of the moment or of this machine, what others keep as a backup or a cache of what is
# there, and what has to be another in every installation.
DROPPED = (
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/machine-id",
    "etc/passwd-",
    "etc/shadow-",
    "etc/ssh/ssh_host_*",
    "etc/ssl/private/*",
    "etc/subgid-",
    "etc/subuid-",
    "usr/lib/python3/*.pyc",
    "usr/share/*.pyc",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/fontconfig/*",
    "var/cache/ldconfig/aux-cache",
    "var/cache/man/*",
    "var/lib/apt/*",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/log/*",
)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch")
    fetching.add_argument("lock")
    fetching.add_argument("target")
    collecting = commands.add_parser("collect")
    for name in ("lock", "base", "system", "out"):
        collecting.add_argument(name)
    collecting.add_argument("--line", action="append", default=[], metavar="FILE=LINE")
    options = parser.parse_args(arguments)
    lock = tomllib.loads(Path(options.lock).read_text(encoding="utf-8"))
    if options.command == "fetch":
        fetch(lock, Path(options.target))
        return
    require_locked(lock, Path(options.base), Path(options.system))
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    out = Path(options.out)
    collect(options.base, options.system, options.out)
    for file, _, line in (text.partition("=") for text in options.line):
        if (out / file).exists():
            with (out / file).open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
    date_passwords(Path(options.base), out, epoch)
    set_times(options.out, epoch)


def list_locked(lock: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the packages for the machine that builds."""
    here = PLATFORMS[platform.machine()]
    return [package for package in lock["packages"] if package["platform"] == here]


def fetch(lock: dict[str, Any], target: Path) -> None:
    """Download every package, held to its size and its SHA-256."""
    target.mkdir()
    context = ssl.create_default_context()

    def fetch_one(package: dict[str, Any]) -> None:
        url = f"{lock['archives'][package['archive']]}/{package['path']}"
        # A name with an epoch's colon would be an option of apt's.
        name = f"{package['name']}_{package['architecture']}.deb"
        download(url, target / name, package, context)

    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(fetch_one, list_locked(lock)):
            pass


def download(url: str, target: Path, package: dict[str, Any], context: ssl.SSLContext) -> None:
    found = try_copy(url, target, context)
    if found != (package["sha256"], package["size"]):
        sys.exit(
            f"hash mismatch for {package['name']} {package['version']}: {url} has SHA-256 "
            f"{found[0]} and {found[1]} bytes, and locked are {package['sha256']} and "
            f"{package['size']}"
        )


def try_copy(url: str, target: Path, context: ssl.SSLContext) -> tuple[str, int]:
    """Copy what is at an address, several times where a server or the way to it fails."""
    for _ in range(TRIES - 1):
        try:
            return copy(url, target, context)
        except OSError as error:  # what urllib raises is one, and so is a broken connection
            if getattr(error, "code", 500) < 500:
                sys.exit(f"{url} was not delivered: {error}")
            time.sleep(1)
    return copy(url, target, context)


def copy(url: str, target: Path, context: ssl.SSLContext) -> tuple[str, int]:
    """Write what is at an address to a file, and return its SHA-256 and size."""
    digest, size = hashlib.sha256(), 0
    # A lock of somebody's own archive may name any address; the hash decides.
    answer = urllib.request.urlopen(url, timeout=60, context=context)  # noqa: S310
    with answer, target.open("wb") as file:
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def require_locked(lock: dict[str, Any], base: Path, system: Path) -> None:
    """Refuse an installation that has changed other packages than those that are locked."""
    before, after = (dict(read_status(root / STATUS)) for root in (base, system))
    changed = {name: version for name, version in after.items() if before.get(name) != version}
    gone = sorted(before.keys() - after.keys())
    locked = {package["name"]: package["version"] for package in list_locked(lock)}
    if changed != locked or gone:
        more = sorted(f"{name} {version}" for name, version in changed.items() - locked.items())
        less = sorted(f"{name} {version}" for name, version in locked.items() - changed.items())
        sys.exit(f"not what is locked was installed: more {more}, less {less}, removed {gone}")


def read_status(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and version of what dpkg calls installed."""
    for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(
            line.partition(": ")[::2] for line in paragraph.split("\n") if line[:1] not in {"", " "}
        )
        if fields.get("Status", "").endswith(" installed"):
            yield fields["Package"], fields["Version"]


def collect(base: str, system: str, out: str) -> None:
    """Copy what is not in the base, or not as it is there, with the folders that it is in."""
    os.makedirs(out, exist_ok=True)
    links: dict[tuple[int, int], str] = {}
    for path in walk(system):
        if is_same(os.path.join(base, path), os.path.join(system, path)):
            continue
        for folder in parents(path):
            copy_entry(system, out, folder, links)
        copy_entry(system, out, path, links)
    for path in walk(base):
        if not os.path.lexists(os.path.join(system, path)):
            sys.stderr.write(f"warning: /{path} of the base stays, although a package removes it\n")


def walk(root: str) -> Iterator[str]:
    """Yield what is below a folder by its path there, a folder before what is in it."""
    for folder, folders, names in os.walk(root):
        inner = os.path.relpath(folder, root)
        prefix = "" if inner == "." else inner + "/"
        folders[:] = sorted(name for name in folders if prefix + name not in SKIPPED)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted({*folders, *names, *links}):
            path = prefix + name
            if path not in SKIPPED and not is_dropped(os.path.join(root, path), path):
                yield path


def is_dropped(full: str, path: str) -> bool:
    """Return whether a file is left out; folders are kept, since programs may want them."""
    if stat.S_ISDIR(os.lstat(full).st_mode):
        return path.endswith("/__pycache__")
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in DROPPED)


def is_same(one: str, other: str) -> bool:
    """Return whether two paths hold the same but for times."""
    if not os.path.lexists(one):
        return False
    left, right = os.lstat(one), os.lstat(other)
    if (left.st_mode, left.st_uid, left.st_gid) != (right.st_mode, right.st_uid, right.st_gid):
        return False
    if read_capability(one) != read_capability(other):
        return False
    if stat.S_ISLNK(left.st_mode):
        return os.readlink(one) == os.readlink(other)
    if not stat.S_ISREG(left.st_mode):
        return True
    return left.st_size == right.st_size and filecmp.cmp(one, other, shallow=False)


def read_capability(path: str) -> bytes:
    """Return what a file lets its process do beyond its user's rights."""
    try:
        return os.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError:  # it has none, or the file system knows none
        return b""


def parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def copy_entry(system: str, out: str, path: str, links: dict[tuple[int, int], str]) -> None:
    """Copy a file, a link or an empty folder with owner, mode and capability."""
    source, target = os.path.join(system, path), os.path.join(out, path)
    if os.path.lexists(target):
        return
    found = os.lstat(source)
    if stat.S_ISDIR(found.st_mode):
        os.mkdir(target)
    elif stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), target)
    elif not stat.S_ISREG(found.st_mode):
        return
    elif found.st_nlink > 1 and (found.st_dev, found.st_ino) in links:
        os.link(links[found.st_dev, found.st_ino], target)
        return
    else:
        shutil.copyfile(source, target)
        links[found.st_dev, found.st_ino] = target
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(target, stat.S_IMODE(found.st_mode))
    capability = read_capability(source)
    if capability:
        os.setxattr(target, "security.capability", capability)


def date_passwords(base: Path, out: Path, epoch: int) -> None:
    """Give new lines of /etc/shadow, which say when a password was set, the day of the epoch."""
    file = out / "etc" / "shadow"
    if not file.exists():
        return
    known = (base / "etc" / "shadow").read_text(encoding="utf-8").splitlines()
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        fields = line.split(":")
        if line not in known and len(fields) > 2:
            fields[2] = str(epoch // 86400)
        lines.append(":".join(fields) + "\n")
    file.write_text("".join(lines), encoding="utf-8")


def set_times(root: str, seconds: int) -> None:
    for folder, folders, names in os.walk(root, topdown=False):
        for name in folders + names:
            os.utime(os.path.join(folder, name), (seconds, seconds), follow_symlinks=False)
    os.utime(root, (seconds, seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
