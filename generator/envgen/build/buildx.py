"""Building images with a builder of Buildx: one run of `docker buildx bake` for all of them."""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from envgen import process
from envgen.build.bake import REVISION_VARIABLE, BakeTarget, render_bake
from envgen.build.docker import build_environment, find_revision, last_lines
from envgen.build.options import BuildOptions, describe_output
from envgen.errors import ToolError
from envgen.spec.load import LoadedSpec

_DESCRIBE_TIMEOUT_S: Final = 600  # a builder may have to be started first


def bake_images(
    loaded: LoadedSpec,
    targets: tuple[BakeTarget, ...],
    *,
    options: BuildOptions,
    no_cache: bool,
    quiet: bool,
) -> dict[str, str]:
    """Build images with the builder of the options and return their IDs, by name.

    Where an image has several platforms, the ID is the digest of its index.

    Raises:
        ToolError: There is no Docker or no Buildx, the build failed, or a registry did not take
            an image.

    """
    docker = process.find_program(
        "docker", why="Buildx is a plugin of the Docker client", fix="install both"
    )
    text = render_bake(
        [_with_output(target, options) for target in targets],
        spec_sha256=loaded.sha256,
        ca_certificates=loaded.spec.network.ca_certificates or "",
        cache_from=options.cache_from,
        cache_to=options.cache_to,
    )
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        metadata = Path(scratch) / "metadata.json"
        command = [docker, "buildx", "bake", "--builder", options.builder, "--file", "-"]
        command += ["--metadata-file", str(metadata), *(["--no-cache"] if no_cache else [])]
        done = process.run(
            command,
            cwd=loaded.root,
            env={
                **build_environment(*(target.plan for target in targets)),
                REVISION_VARIABLE: find_revision(loaded.root),
                # Buildx asks before a bake file reads or writes outside of the folder. This one
                # is made of the user's own spec and options, and nobody is there to answer.
                "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
            },
            input_text=text,
            passthrough=not quiet,
        )
        if done.returncode:
            raise ToolError.single(
                f"docker buildx bake failed for {', '.join(sorted(t.plan.name for t in targets))}",
                why=last_lines(done.stderr) or "its last lines are above",
                fix=_hint(docker, options.builder),
            )
        return _read_identities(metadata.read_bytes(), targets)


def _with_output(target: BakeTarget, options: BuildOptions) -> BakeTarget:
    output = describe_output(options, target.tags) if options.push else "type=docker"
    return msgspec.structs.replace(target, outputs=(output,))


class _Built(msgspec.Struct, frozen=True):
    """What Buildx tells of a target, as far as it matters here."""

    digest: str = msgspec.field(default="", name="containerimage.digest")
    config_digest: str = msgspec.field(default="", name="containerimage.config.digest")


def _read_identities(metadata: bytes, targets: Iterable[BakeTarget]) -> dict[str, str]:
    built = json.loads(metadata)
    found = {
        target.plan.name: msgspec.convert(built.get(target.plan.name, {}), _Built)
        for target in targets
    }
    return {name: each.config_digest or each.digest for name, each in found.items()}


def _hint(docker: str, builder: str) -> str:
    known = process.run(
        [docker, "buildx", "inspect", builder], timeout_s=_DESCRIBE_TIMEOUT_S
    ).returncode
    return f"`docker buildx ls` shows the builders; {builder} is not one" if known else ""
