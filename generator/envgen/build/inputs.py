"""What decides on the content of an image, as one hash: where it is known, there is nothing to do.

The hash is over all that the build reads of the project, and over its platforms. The plan itself is
no part of it: what it decides about the image is written in the Dockerfile, and the rest, such as
reasons, changes no byte of the image. Neither are the hash of the spec's file and the commit, which
the image carries as labels: they tell where a build came from.
"""

import fnmatch
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import StorageError
from envgen.plan.model import ImagePlan

_FORMAT: Final = 1
"""Raised where the same inputs begin to give another image."""


class InputFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A file that a build reads.

    Attributes:
        path: Relative to the spec's folder, with forward slashes.
        digest: `sha256:` and the hash of its content; `link:` and where it leads of a symbolic
            link, `folder` of a folder with nothing in it.
        executable: Whether anybody may execute it. Builds set all other permissions themselves.

    """

    path: str
    digest: str
    executable: bool = False


def hash_inputs(
    image: ImagePlan,
    files: Iterable[InputFile],
    *,
    epoch: str,
    platforms: Iterable[str],
) -> str:
    """Return `sha256:` and the hash of all that decides on an image's content.

    Args:
        image: What is built.
        files: What the build reads, in any order.
        epoch: Of the templates.
        platforms: What it is built for.

    """
    document = {
        "format": _FORMAT,
        "epoch": epoch,
        "image": image.name,
        "lock": image.lock_sha256,
        "platforms": sorted(platforms),
        "files": sorted((file.path, file.digest, file.executable) for file in files),
    }
    return f"sha256:{hashlib.sha256(msgspec.json.encode(document)).hexdigest()}"


def read_inputs(root: Path, image: ImagePlan) -> Iterator[InputFile]:
    """Yield every file below the spec's folder that the build of an image reads.

    It is what the rendered Dockerfile.dockerignore lets in, and the two files themselves.

    Raises:
        StorageError: One of them cannot be read.

    """
    dockerfile = f"{image.folder}/Dockerfile"
    ignored = f"{dockerfile}.dockerignore"
    try:
        lines = (root / ignored).read_text(encoding="utf-8").splitlines()
        paths = [line[1:].rstrip("/") for line in lines if line.startswith("!")]
        left_out = tuple(line for line in lines if line and line[0] not in "!#" and line != "*")
        for path in dict.fromkeys((dockerfile, ignored, *paths)):
            yield from _read(str(root), path, left_out)
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=str(error.filename or ""), why=error.strerror or str(error)
        ) from error


def _read(root: str, path: str, left_out: tuple[str, ...]) -> Iterator[InputFile]:
    """Yield the files of a path that a COPY names: a link there is followed."""
    place = os.path.join(root, path)  # noqa: PTH118 - a Path for each of many files takes longer
    if not os.path.isdir(place):  # noqa: PTH112
        yield _describe(place, path)
        return
    with os.scandir(place) as found:
        entries = [each for each in found if not _is_left_out(f"{path}/{each.name}", left_out)]
    if not entries:
        yield InputFile(path=path, digest="folder")
    for entry in entries:
        inner = f"{path}/{entry.name}"
        if entry.is_symlink():
            yield InputFile(path=inner, digest=f"link:{os.readlink(entry)}")  # noqa: PTH115
        elif entry.is_dir():
            yield from _read(root, inner, left_out)
        else:
            yield _describe(entry.path, inner)


def _describe(place: str, path: str) -> InputFile:
    with open(place, "rb") as stream:  # noqa: PTH123
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        mode = os.fstat(stream.fileno()).st_mode
    return InputFile(path=path, digest=f"sha256:{digest}", executable=bool(mode & 0o111))


def _is_left_out(path: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a pattern of the template takes a path out: `a/path`, or `**/name` anywhere."""
    name = path.rpartition("/")[2]
    return any(
        fnmatch.fnmatchcase(name, pattern[3:]) if pattern.startswith("**/") else path == pattern
        for pattern in patterns
    )
