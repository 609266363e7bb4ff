"""Images by the names that people give them: a file, an engine's image, a registry's."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from envgen import process
from envgen.errors import ToolError, UsageError
from envgen.image.store import StoredImage, open_image
from envgen.registry.reference import ImageReference, parse_reference

_log = logging.getLogger(__name__)

_INSPECT_TIMEOUT_S: Final = 60


@contextmanager
def open_named(
    name: str, *, platform: str, mirrors: Mapping[str, str], ca_certificates: Path | None
) -> Iterator[StoredImage]:
    """Yield the image that a name means; it can be read until the block ends.

    A path that exists is an archive or an OCI layout. Otherwise the engine is asked, and then the
    name's registry.

    Raises:
        NetworkError: The registry did not deliver.
        StorageError: The image is damaged.
        UsageError: It is not a name of an image.

    """
    with tempfile.TemporaryDirectory(prefix="envgen-") as folder:
        scratch = Path(folder)
        path = Path(name)
        if path.exists():
            yield open_image(path, scratch, platform=platform)
        elif (docker := _find_engine_with(name)) is not None:
            yield save_image(docker, name, scratch)
        else:
            from envgen.image.fetch import fetch_image  # noqa: PLC0415 - knows urllib3

            yield fetch_image(
                _parse(name),
                scratch,
                platform=platform,
                mirrors=mirrors,
                ca_certificates=ca_certificates,
            )


@contextmanager
def open_built(name: str) -> Iterator[StoredImage]:
    """Yield an image that the engine has; it can be read until the block ends.

    Raises:
        StorageError: What the engine wrote is damaged.
        ToolError: There is no engine, or it has no such image.

    """
    docker = process.find_program(
        "docker", why="the engine has the image", fix="install the Docker client"
    )
    with tempfile.TemporaryDirectory(prefix="envgen-") as folder:
        yield save_image(docker, name, Path(folder))


def save_image(docker: str, name: str, scratch: Path) -> StoredImage:
    """Return an image of the engine, copied to a folder.

    Raises:
        StorageError: What the engine wrote is damaged.
        ToolError: The engine has no such image, or cannot write it.

    """
    archive = scratch / "image.tar"
    done = process.run([docker, "image", "save", "--output", archive, name])
    if done.returncode:
        raise ToolError.single(
            f"the engine cannot write the image {name}",
            why=done.stderr.strip(),
            fix="build it first, and see that the folder for temporary files (TMPDIR) has room",
        )
    return open_image(archive, scratch)


def _find_engine_with(name: str) -> str | None:
    """Return the Docker client where an engine answers that has the image."""
    try:
        docker = process.find_program("docker", why="", fix="")
        asked = [docker, "image", "inspect", "--format", "{{.Id}}", "--", name]
        done = process.run(asked, timeout_s=_INSPECT_TIMEOUT_S)
    except ToolError as error:
        _log.info("%s", error)
        return None
    return docker if done.returncode == 0 else None


def _parse(name: str) -> ImageReference:
    try:
        return parse_reference(name)
    except ValueError as error:
        raise UsageError.single(
            f"{name} is neither a file, nor an image of the engine, nor one of a registry",
            why=str(error),
            fix="as registry.example/serve@sha256:…, serve:latest or serve.tar",
        ) from error
