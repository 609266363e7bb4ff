"""Building images: Docker as a program, with secrets for what no layer may hold."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from envgen import process
from envgen.errors import ToolError, UsageError
from envgen.lock.network import find_ca_certificates
from envgen.plan.model import ImagePlan
from envgen.spec.load import LoadedSpec

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")

SOURCE_DATE_EPOCH: Final = 315532800
"""The default of the Dockerfile's own argument, in seconds. Builders write the time of the build
into the image unless they are given one, and the image's ID would change with it."""


def build_image(
    loaded: LoadedSpec, image: ImagePlan, tags: tuple[str, ...], *, no_cache: bool, quiet: bool
) -> str:
    """Build an image from the files on disk and return its ID.

    Args:
        loaded: The spec, whose folder is the build's context.
        image: What to build.
        tags: What to name it.
        no_cache: Build every stage again.
        quiet: Keep Docker's progress from the terminal.

    Raises:
        ToolError: There is no Docker, or the build failed.

    """
    docker = process.find_program(
        "docker",
        why="images are built by Docker 20.10 or newer with BuildKit",
        fix="install it, or build the rendered Dockerfile with another builder: its first lines "
        "say how",
    )
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        identity = Path(scratch) / "id"
        command = [docker, "build", "--file", f"{image.folder}/Dockerfile"]
        command += ["--iidfile", str(identity), *_options(loaded, image, tags)]
        if no_cache:
            command.append("--no-cache")
        done = process.run(
            [*command, "."],
            cwd=loaded.root,
            env=_environment(image),
            passthrough=not quiet,
        )
        if done.returncode:
            raise ToolError.single(
                f"docker build failed for image {image.name}",
                why=_last_lines(done.stderr) or "its last lines are above",
                fix=_hint(docker),
            )
        return identity.read_text(encoding="utf-8").strip()


def _options(loaded: LoadedSpec, image: ImagePlan, tags: tuple[str, ...]) -> Iterator[str]:
    for tag in tags:
        yield from ("--tag", tag)
    yield from ("--platform", image.platforms[0]) if len(image.platforms) == 1 else ()
    yield from ("--label", f"org.envgen.spec=sha256:{loaded.sha256}")
    yield from ("--build-arg", f"SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}")
    revision = _revision(loaded.root)
    if revision:
        yield from ("--label", f"org.opencontainers.image.revision={revision}")
    # By name only: the values may hold a password and must not show in a process list.
    for name in _PROXIES:
        for spelled in (name, name.lower()):
            if os.environ.get(spelled):
                yield from ("--build-arg", spelled)
    certificates = find_ca_certificates(loaded)
    if certificates:
        # Docker reads the value as a line of CSV.
        source = str(certificates).replace('"', '""')
        yield from ("--secret", f'id=ca,"src={source}"')
    if image.index and _netrc(image.index):
        yield from ("--secret", "id=netrc,env=ENVGEN_NETRC")


def _environment(image: ImagePlan) -> Mapping[str, str]:
    env = {
        # Older clients build without BuildKit unless told; newer ones attach an attestation that
        # carries the time and so changes the digest of an unchanged image.
        "DOCKER_BUILDKIT": "1",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    }
    login = _netrc(image.index) if image.index else ""
    if login:
        env["ENVGEN_NETRC"] = login
    return env


def _netrc(index: str) -> str:
    """Return the netrc line of the index's login, empty where the environment has none.

    Raises:
        UsageError: A netrc file cannot hold it.

    """
    user = os.environ.get("ENVGEN_INDEX_USERNAME", "")
    password = os.environ.get("ENVGEN_INDEX_PASSWORD", "")
    if not (user or password):
        return ""
    if any(character.isspace() for character in user + password):
        raise UsageError.single(
            "ENVGEN_INDEX_USERNAME or ENVGEN_INDEX_PASSWORD holds white space",
            why="builds get the login as a netrc file, whose words end there",
            fix="use a token or a password without white space",
        )
    return f"machine {urlsplit(index).hostname} login {user} password {password}\n"


def _revision(root: Path) -> str:
    """Return the commit that the folder is at; empty outside of a repository or without git."""
    try:
        done = process.run(["git", "rev-parse", "HEAD"], cwd=root, timeout_s=10)
    except ToolError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-20:])


def _hint(docker: str) -> str:
    if process.run([docker, "info"], timeout_s=30).returncode:
        return "no Docker Engine answers; start it, or set DOCKER_HOST"
    return ""
