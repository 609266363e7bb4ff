"""Building from a bundle: its images in the engine, and a Dockerfile that downloads nothing."""

from pathlib import Path
from typing import Final

import msgspec

from envgen import process
from envgen.bundle.fetch import Bundle, list_bases
from envgen.bundle.images import local_name, require_base
from envgen.errors import StaleError, StorageError, ToolError
from envgen.plan.model import Base, ImagePlan, Plan
from envgen.render import render

_FIX: Final = "run `python -m envgen fetch` where there is a network"


def use_bundle(image: ImagePlan, folder: Path) -> ImagePlan:
    """Return the plan of a build that takes everything from a bundle.

    Args:
        image: The image.
        folder: The bundles of images, each in a folder of its own.

    Raises:
        StaleError: The bundle was made from another lock.
        StorageError: There is none for the image.
        ToolError: The engine does not take its base images.

    """
    own = (folder / image.name).absolute()
    bundle = _read(own, image)
    if bundle.lock_sha256 != image.lock_sha256 or set(bundle.bases) != {
        base.digest for base in list_bases(image)
    }:
        raise StaleError.single(
            f"the bundle of {image.name} was made from another lock", file=str(own), fix=_FIX
        )
    docker = process.find_program(
        "docker", why="images are built by Docker", fix="install the Docker client"
    )
    for digest in bundle.bases:
        archive = own / "images" / f"{digest.rpartition(':')[2]}.tar"
        require_base(archive, digest)
        done = process.run([docker, "image", "load", "--quiet", "--input", archive])
        if done.returncode:
            raise ToolError.single(f"the engine does not take {archive}", why=done.stderr.strip())
    source, cuda = image.python_source, image.system_cuda
    return msgspec.structs.replace(
        image,
        bundle=str(own),
        base=_local(image.base),
        builder=_local(image.builder),
        python_source=_local(source) if source else None,
        system_cuda=msgspec.structs.replace(cuda, source=_local(cuda.source)) if cuda else None,
        certificates=False,
        index="",
        indexes=(),
        trusted_host="",
    )


def _read(own: Path, image: ImagePlan) -> Bundle:
    try:
        return msgspec.json.decode((own / "bundle.json").read_bytes(), type=Bundle)
    except (OSError, msgspec.MsgspecError) as error:
        raise StorageError.single(
            f"there is no bundle of {image.name}", file=str(own), why=str(error), fix=_FIX
        ) from error


def _local(base: Base) -> Base:
    return msgspec.structs.replace(base, reference=local_name(base.digest))


def write_dockerfile(image: ImagePlan, folder: Path, *, epoch: str, spec_file: str) -> Path:
    """Write the Dockerfile of a build from a bundle, with its ignore file, and return its path."""
    files = render(Plan(epoch=epoch, spec_file=spec_file, images=(image,)))
    for name in ("Dockerfile", "Dockerfile.dockerignore"):
        path = f"{image.folder}/{name}"
        (folder / name).write_bytes(next(file.content for file in files if file.path == path))
    return folder / "Dockerfile"
