"""Filling a bundle: every file that the lock of an image names, held to its hash."""

import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen.bundle.images import save_base
from envgen.errors import LockError, UsageError
from envgen.lock.model import APT_FILE, BUILD_FILE, LockedImage
from envgen.lock.network import find_ca_certificates, find_mirrors
from envgen.lock.packages import Artifact
from envgen.lock.request import image_folder, make_request
from envgen.lock.stored import read_packages
from envgen.lockers.index_files import IndexFiles
from envgen.lockers.uv_program import uv_environment
from envgen.plan.model import Base, ImagePlan
from envgen.project import Project
from envgen.resources import BUNDLE_OFFLINE
from envgen.sources.downloads import Downloads

FILES: Final = "files.json"


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What bundle.json says of a bundle.

    Attributes:
        image: The image whose build it is for.
        lock_sha256: Of the lock that it was made from.
        platform: The platform that it is for.
        bases: The digests of base images.

    """

    image: str
    lock_sha256: str
    platform: str
    bases: tuple[str, ...]


def list_bases(image: ImagePlan) -> tuple[Base, ...]:
    """Return the images that a build stands on, each once."""
    found = [image.base, image.python_source, image.system_cuda and image.system_cuda.source]
    if not image.base.official_python:
        found.append(image.builder)
    return tuple({base.digest: base for base in found if base}.values())


def fetch_bundle(
    project: Project,
    image: ImagePlan,
    folder: Path,
    *,
    platform: str,
    report: Callable[[str], None],
) -> None:
    """Write the bundle of an image to a folder of its own.

    Raises:
        LockError: What is served is not what was locked.
        NetworkError: Something was not delivered.
        UsageError: The image takes what cannot be bundled.

    """
    locked = project.lock.images[image.name]
    _require_bundled(image)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("files", "tools", "images"):
        (folder / name).mkdir(parents=True)
    ca = find_ca_certificates(project.loaded)
    index = project.loaded.spec.network.index or ""
    artifacts = {artifact.url: artifact for artifact in _list_files(project, image, locked)}
    with Downloads(folder / "files", index=index, ca_certificates=ca) as downloads:
        for number, artifact in enumerate(artifacts.values(), 1):
            report(f"{image.name}: file {number} of {len(artifacts)}, {artifact.filename}")
            downloads.fetch(artifact)
    with Downloads(folder / "tools", index=index, ca_certificates=ca) as downloads:
        for artifact in _find_tools(project, image, platform):
            report(f"{image.name}: {artifact.filename}")
            downloads.fetch(artifact).rename(folder / "tools" / artifact.filename)
    for base in list_bases(image):
        report(f"{image.name}: base {base.name}")
        target = folder / "images" / f"{base.digest.rpartition(':')[2]}.tar"
        mirrors = find_mirrors(project.loaded)
        save_base(
            base.name,
            base.digest,
            target,
            platform=platform,
            mirrors=mirrors,
            ca_certificates=ca,
        )
    addresses = {artifact.url: artifact.sha256 for artifact in artifacts.values()}
    (folder / FILES).write_bytes(msgspec.json.encode(addresses))
    shutil.copyfile(BUNDLE_OFFLINE, folder / "offline.py")
    bundle = Bundle(
        image=image.name,
        lock_sha256=image.lock_sha256,
        platform=platform,
        bases=tuple(base.digest for base in list_bases(image)),
    )
    (folder / "bundle.json").write_bytes(msgspec.json.encode(bundle))


def _require_bundled(image: ImagePlan) -> None:
    if image.git is not None:
        raise UsageError.single(
            f"{image.name} takes packages from repositories, which cannot be bundled",
            why="they have no hash to hold a file to, and building them downloads more",
            fix="build wheels of them once, and take these from an index",
        )
    if "--no-build" not in image.build_options:
        raise UsageError.single(
            f"{image.name} builds packages from source archives, which cannot be bundled",
            why="what such a build downloads is in no lock",
            fix="build wheels of them once, and take these from an index",
        )


def _list_files(project: Project, image: ImagePlan, locked: LockedImage) -> Iterator[Artifact]:
    for package in read_packages(image.name, locked, project.read):
        yield from package.wheels
    if image.apt:
        yield from _list_debs(project, image.name)


def _list_debs(project: Project, name: str) -> Iterator[Artifact]:
    content = project.read(f"{image_folder(name)}/{APT_FILE}") or b""
    document: dict[str, Any] = tomllib.loads(content.decode())
    for row in document["packages"]:
        yield Artifact(
            filename=row["path"].rpartition("/")[2],
            url=f"{document['archives'][row['archive']]}/{row['path']}",
            sha256=row["sha256"],
            size=row["size"],
        )


def _find_tools(project: Project, image: ImagePlan, platform: str) -> Iterable[Artifact]:
    """Return the wheels of what builds run, where the index has them now."""
    pins = dict(_list_pins(project, image, platform))
    index = project.loaded.spec.network.index or ""
    request = make_request(project.loaded.spec, image.name)
    ca = find_ca_certificates(project.loaded)
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        env = uv_environment(index, ca)
        places = IndexFiles(request, sorted({*pins.values()}), Path(scratch) / "pins", env).find()
    found = [
        Artifact(
            filename=places[digest].url.rpartition("/")[2], url=places[digest].url, sha256=digest
        )
        for digest in pins
        if digest in places
    ]
    missing = {*pins.values()} - {pins[artifact.sha256] for artifact in found}
    if missing:
        raise LockError.single(
            f"the index has no longer the files of {', '.join(sorted(missing))} that are locked",
            fix="run `python -m envgen lock --upgrade`",
        )
    return found


def _list_pins(project: Project, image: ImagePlan, platform: str) -> Iterator[tuple[str, str]]:
    """Yield the hash of every file that may install a tool, with its pin."""
    for name in ("uv", "py-rattler") if image.conda else ("uv",):
        tool = project.lock.find_tool(name)
        if tool:
            yield tool.sha256[platform], f"{tool.name}=={tool.version}"
    if image.own:
        content = project.read(f"{image_folder(image.name)}/{BUILD_FILE}") or b""
        pin = ""
        for word in content.decode().split():
            if "==" in word:
                pin = word
            elif word.startswith("--hash=sha256:"):
                yield word.removeprefix("--hash=sha256:"), pin
