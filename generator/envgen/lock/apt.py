"""Locking OS packages: those that images ask for, and what these need beside the base."""

import json
import logging
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from envgen.apt.archive import Packages, Release, fetch_packages, fetch_release
from envgen.apt.base import BaseSystem, list_installed, read_base
from envgen.apt.control import Package, Relation
from envgen.apt.resolve import resolve
from envgen.apt.signature import SignedText, read_signed
from envgen.apt.tables import Suite, archives, find_distro, list_systems, suites
from envgen.errors import LockError
from envgen.lock.changes import Change
from envgen.lock.image import LockedFiles
from envgen.lock.model import APT_FILE, Lock, LockedApt, LockedBase, LockedImage, LockedSuite
from envgen.lock.network import find_ca_certificates, find_mirrors
from envgen.lock.request import image_folder, image_platforms
from envgen.lock.staleness import Read, hash_apt_input, sha256, sha256_as_committed
from envgen.registry.reference import parse_reference
from envgen.registry.transport import Transport
from envgen.rendered import RenderedFile, quote_toml, seal
from envgen.spec.load import LoadedSpec
from envgen.tables import find_base

_log = logging.getLogger(__name__)

_SETTLED: Final = timedelta(hours=6)
"""How old a midnight has to be: archives of snapshots take a while to have what was published."""


class _Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A package for one platform."""

    platform: str
    package: Package
    archive: str


def add_apt(
    loaded: LoadedSpec,
    current: Lock,
    results: Mapping[str, LockedFiles],
    bases: Mapping[str, LockedBase],
    *,
    upgrade: bool,
    read: Read,
    report: Callable[[str], None],
) -> dict[str, LockedFiles]:
    """Return the locked images with the OS packages that they ask for.

    Args:
        loaded: The spec and its folder.
        current: The lock so far, whose moment is kept.
        results: What was locked anew.
        bases: The base images with their digests.
        upgrade: Take the newest moment, and choose anew.
        read: Reads a file of the spec's folder.
        report: Told what is being done, a line at a time.

    Raises:
        LockError: Packages do not exist, or do not fit together or on the base.
        NetworkError: An archive or a registry did not deliver.

    """
    done = dict(results)
    asking = [name for name in results if loaded.spec.images[name].apt]
    kept = {} if upgrade else {name: current.images[name] for name in current.images}
    with Transport(ca_certificates=find_ca_certificates(loaded)) as transport:
        shelf = _Shelf(loaded, transport, _choose_moment(loaded, kept))
        for name in asking:
            base = bases[results[name].locked.base]
            found = _find_kept(loaded, kept.get(name), name, base, read)
            if found is None:
                report(f"locking the OS packages of {name}")
                found = _lock_image(shelf, name, base, read)
            apt, file, changes = found
            done[name] = msgspec.structs.replace(
                done[name],
                locked=msgspec.structs.replace(done[name].locked, apt=apt),
                files=(*done[name].files, file),
                changes=(*done[name].changes, *changes),
                os_packages=frozenset(_read_rows(file.content)),
            )
    return done


_Locked = tuple[LockedApt, RenderedFile, tuple[Change, ...]]


def _find_kept(
    loaded: LoadedSpec, locked: LockedImage | None, name: str, base: LockedBase, read: Read
) -> _Locked | None:
    """Return what is locked already, where it still is what the spec asks for."""
    path = f"{image_folder(name)}/{APT_FILE}"
    content = read(path)
    if locked is None or locked.apt is None or content is None:
        return None
    same = locked.apt.input_sha256 == hash_apt_input(loaded.spec, name, base)
    if not same or locked.apt.sha256 != sha256_as_committed(content):
        return None
    return locked.apt, RenderedFile(path=path, content=content, guarded=False), ()


def _choose_moment(loaded: LoadedSpec, kept: Mapping[str, LockedImage]) -> str:
    """Return the spec's moment, else that of the lock, else the last midnight."""
    asked = loaded.spec.network.apt_snapshot or loaded.spec.network.exclude_newer
    if asked:
        return asked.replace("-", "").replace(":", "")
    locked = max((image.apt.moment for image in kept.values() if image.apt), default="")
    return locked or f"{datetime.now(UTC) - _SETTLED:%Y%m%dT000000Z}"


class _Shelf:
    """What was read of archives and registries, so that images share it."""

    def __init__(self, loaded: LoadedSpec, transport: Transport, moment: str) -> None:
        self.loaded = loaded
        self.moment = moment
        self._transport = transport
        self._releases: dict[str, tuple[Release, ...]] = {}
        self._packages: dict[tuple[str, str], Packages] = {}
        self._systems: dict[tuple[str, str], BaseSystem] = {}

    def locate(self, archive: str) -> str:
        """Return the address of an archive at the moment."""
        template = self.loaded.spec.network.apt_archives.get(archive, archives()[archive].url)
        return template.replace("{moment}", self.moment).rstrip("/")

    def releases(self, distro: str) -> tuple[Release, ...]:
        if distro not in self._releases:
            self._releases[distro] = tuple(
                fetch_release(self._transport, self.locate(row.archive), row, self._reader(row))
                for row in suites(distro)
            )
        return self._releases[distro]

    def packages(self, distro: str, architecture: str) -> Packages:
        key = (distro, architecture)
        if key not in self._packages:
            found = fetch_packages(self._transport, self.releases(distro), architecture)
            self._packages[key] = found
        return self._packages[key]

    def system(self, base: LockedBase, platform: str, *, with_system: bool) -> BaseSystem:
        key = (base.digest, platform)
        if key not in self._systems:
            name = base.image.partition("@")[0]
            self._systems[key] = read_base(
                parse_reference(f"{name}@{base.digest}"),
                platform=platform,
                mirrors=find_mirrors(self.loaded),
                ca_certificates=find_ca_certificates(self.loaded),
                with_system=with_system,
            )
        return self._systems[key]

    def _reader(self, suite: Suite) -> Callable[[bytes, str], SignedText]:
        own = self.loaded.spec.network.apt_keyring
        keyring = self.loaded.root / own if own else Path(archives()[suite.archive].keyring)

        def read(content: bytes, about: str) -> SignedText:
            return read_signed(content, about=about, keyring=keyring, required=own is not None)

        return read


def _lock_image(shelf: _Shelf, name: str, base: LockedBase, read: Read) -> _Locked:
    spec = shelf.loaded.spec
    wishes = tuple(_parse_wish(text) for text in spec.images[name].apt)
    platforms = image_platforms(spec, name)
    row = find_base(base.image)
    systems = {
        platform: shelf.system(base, platform, with_system=row is None) for platform in platforms
    }
    distro = row.distro if row else _require_distro(name, base, systems.values())
    chosen: list[_Choice] = []
    for platform, system in systems.items():
        architecture = platform.rpartition("/")[2]
        packages = shelf.packages(distro, architecture)
        installed = list_installed(system.status, architecture)
        chosen += [
            _Choice(platform=platform, package=package, archive=packages.archive_of(package))
            for package in _resolve(name, wishes, packages, installed)
        ]
    content = seal(_HEADER, _render(shelf, chosen))
    path = f"{image_folder(name)}/{APT_FILE}"
    apt = LockedApt(
        input_sha256=hash_apt_input(spec, name, base),
        sha256=sha256(content),
        moment=shelf.moment,
        suites=tuple(
            LockedSuite(
                archive=found.archive, suite=found.suite, sha256=found.sha256, key=found.signed.key
            )
            for found in shelf.releases(distro)
        ),
        base_sha256={platform: system.sha256 for platform, system in systems.items()},
        packages=len({choice.package.name for choice in chosen}),
        names=tuple(wish.name for wish in wishes),
        download_bytes=_sum(platforms, chosen, lambda package: package.size),
        unpacked_bytes=_sum(platforms, chosen, lambda package: package.installed_bytes),
    )
    changes = _compare(name, read(path), chosen)
    return apt, RenderedFile(path=path, content=content, guarded=False), changes


def _parse_wish(text: str) -> Relation:
    name, equals, version = text.partition("=")
    return Relation(name, equals, version)


def _require_distro(name: str, base: LockedBase, systems: Iterable[BaseSystem]) -> str:
    found = {system.system for system in systems}
    distro = find_distro(found.pop()) if len(found) == 1 else ""
    if distro:
        return distro
    raise LockError.single(
        "no dated archive is known for the packages of this base",
        key=f"images.{name}.apt",
        why=f"{base.image} is {' and '.join(sorted(s.system for s in systems)) or 'unnamed'}",
        fix="name a base of " + ", ".join(list_systems()),
    )


def _resolve(
    name: str, wishes: tuple[Relation, ...], packages: Packages, installed: Mapping[str, Package]
) -> tuple[Package, ...]:
    try:
        return resolve(wishes, packages.universe(), installed)
    except LockError as error:
        problems = (
            msgspec.structs.replace(problem, key=f"images.{name}.apt") for problem in error.problems
        )
        raise LockError(*problems) from error


def _sum(
    platforms: Iterable[str], chosen: Iterable[_Choice], measure: Callable[[Package], int]
) -> dict[str, int]:
    return {
        platform: sum(measure(row.package) for row in chosen if row.platform == platform)
        for platform in platforms
    }


_HEADER: Final = "Generated by `envgen lock`. Do not edit: change the spec and lock again."


def _render(shelf: _Shelf, chosen: Iterable[_Choice]) -> str:
    """Return apt.toml: where the files are, and a row for each, as the image's build reads it."""
    chosen = sorted(chosen, key=lambda row: (row.platform, row.package.name))
    used = sorted({row.archive for row in chosen})
    lines = ["format = 1", "", "[archives]"]
    lines += [f"{name} = {quote_toml(shelf.locate(name))}" for name in used]
    for row in chosen:
        package = row.package
        fields = {
            "name": package.name,
            "version": package.version,
            "architecture": package.architecture,
            "platform": row.platform,
            "archive": row.archive,
            "path": package.path,
            "size": package.size,
            "sha256": package.sha256,
        }
        lines += ["", "[[packages]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def _compare(name: str, before: bytes | None, chosen: Iterable[_Choice]) -> tuple[Change, ...]:
    """Return how OS packages differ from those that were locked; on several platforms, of one."""
    old = _read_rows(before or b"")
    new = {row.package.name: row.package.version for row in chosen}
    return tuple(
        Change(image=name, name=package, old=old.get(package, ""), new=new.get(package, ""))
        for package in sorted(old.keys() | new.keys())
        if old.get(package) != new.get(package)
    )


def _read_rows(content: bytes) -> dict[str, str]:
    """Return the versions of an apt.toml by name; none of one that cannot be read."""
    try:
        rows = tomllib.loads(content.decode()).get("packages", [])
        return {str(row["name"]): str(row["version"]) for row in rows}
    except (ValueError, KeyError, TypeError):  # somebody has edited it
        return {}
