"""Building images: Docker as a program, with secrets for what no layer may hold."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from envgen import process
from envgen.build.options import BuildOptions, list_builder_options, push_image, require_size
from envgen.errors import ToolError, UsageError
from envgen.lock.network import find_ca_certificates
from envgen.lockers.indexes import list_logins
from envgen.plan.model import ImagePlan
from envgen.spec.load import LoadedSpec

PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")

SOURCE_DATE_EPOCH: Final = 315532800
"""The default of the Dockerfile's own argument, in seconds. Builders write the time of the build
into the image unless they are given one, and the image's ID would change with it. No option
changes it: BuildKit's cache does not look at times, so a `COPY --from` may be taken from a build
with another one, and the digest would depend on what was built before."""


def build_image(
    loaded: LoadedSpec,
    image: ImagePlan,
    tags: tuple[str, ...],
    *,
    no_cache: bool,
    quiet: bool,
    options: BuildOptions = BuildOptions(),  # noqa: B008 - it is frozen
) -> str:
    """Build an image from the files on disk and return its ID.

    Args:
        loaded: The spec, whose folder is the build's context.
        image: What to build.
        tags: What to name it.
        no_cache: Build every stage again.
        quiet: Keep Docker's progress from the terminal.
        options: What the builder is asked beside.

    Raises:
        LockError: The image is larger than the spec allows.
        ToolError: There is no Docker, the build failed, or a registry did not take the image.

    """
    docker = process.find_program(
        "docker",
        why="images are built by Docker 20.10 or newer with BuildKit",
        fix="install it, or build the rendered Dockerfile with another builder: its first lines "
        "say how",
    )
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        identity = Path(scratch) / "id"
        command = [docker, "build", *_choose_dockerfile(loaded, image, Path(scratch))]
        command += ["--iidfile", str(identity), *_options(loaded, image)]
        command += list_builder_options(options, image, tags)
        if no_cache:
            command.append("--no-cache")
        done = process.run(
            [*command, "."],
            cwd=loaded.root,
            env=build_environment(image),
            passthrough=not quiet,
        )
        if done.returncode:
            raise ToolError.single(
                f"docker build failed for image {image.name}",
                why=last_lines(done.stderr) or "its last lines are above",
                fix=_hint(docker),
            )
        built = identity.read_text(encoding="utf-8").strip()
    if not options.pushes_itself:
        require_size(docker, image, built)
        if options.push:
            push_image(docker, tags, quiet=quiet)
    return built


def _choose_dockerfile(loaded: LoadedSpec, image: ImagePlan, scratch: Path) -> Iterator[str]:
    """Yield the Dockerfile: the rendered one, or that of a bundle, with it and no network."""
    if not image.bundle:
        yield from ("--file", f"{image.folder}/Dockerfile")
        return
    from envgen.bundle.use import write_dockerfile  # noqa: PLC0415 - few builds have a bundle

    path = write_dockerfile(image, scratch, epoch=loaded.spec.epoch, spec_file=loaded.file)
    yield from ("--file", str(path), "--network=none")
    yield from ("--build-context", f"bundle={image.bundle}")


def _options(loaded: LoadedSpec, image: ImagePlan) -> Iterator[str]:
    yield from ("--label", f"org.envgen.spec=sha256:{loaded.sha256}")
    yield from ("--build-arg", f"SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}")
    revision = find_revision(loaded.root)
    if revision:
        yield from ("--label", f"org.opencontainers.image.revision={revision}")
    # By name only: the values may hold a password and must not show in a process list.
    for name in PROXIES:
        for spelled in (name, name.lower()):
            if os.environ.get(spelled):
                yield from ("--build-arg", spelled)
    certificates = find_ca_certificates(loaded)
    if certificates and not image.bundle:
        # Docker reads the value as a line of CSV.
        source = str(certificates).replace('"', '""')
        yield from ("--secret", f'id=ca,"src={source}"')
    if _netrc((image,)):
        yield from ("--secret", "id=netrc,env=ENVGEN_NETRC")


def build_environment(*images: ImagePlan) -> dict[str, str]:
    """Return the variables that the builder of images needs, the logins of indexes among them."""
    env = {
        # Older clients build without BuildKit unless told; newer ones attach an attestation that
        # carries the time and so changes the digest of an unchanged image.
        "DOCKER_BUILDKIT": "1",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    }
    login = _netrc(images)
    if login:
        env["ENVGEN_NETRC"] = login
    return env


def _netrc(images: Iterable[ImagePlan]) -> str:
    """Return a netrc with the logins of images' indexes, empty where the environment has none.

    Raises:
        UsageError: A netrc file cannot hold one.

    """
    lines = (
        _netrc_line(*login) for image in images for login in list_logins(image.index, image.indexes)
    )
    return "".join(dict.fromkeys(lines))


def _netrc_line(url: str, variables: tuple[str, str]) -> str:
    user, password = (os.environ.get(variable, "") for variable in variables)
    if not (user or password):
        return ""
    if any(character.isspace() for character in user + password):
        raise UsageError.single(
            f"{' or '.join(variables)} holds white space",
            why="builds get the login as a netrc file, whose words end there",
            fix="use a token or a password without white space",
        )
    return f"machine {urlsplit(url).hostname} login {user} password {password}\n"


def find_revision(root: Path) -> str:
    """Return the commit that the folder is at; empty outside of a repository or without git."""
    try:
        done = process.run(["git", "rev-parse", "HEAD"], cwd=root, timeout_s=10)
    except ToolError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def last_lines(text: str) -> str:
    """Return the end of what a builder said."""
    return "\n".join(text.strip().splitlines()[-20:])


def _hint(docker: str) -> str:
    if process.run([docker, "info"], timeout_s=30).returncode:
        return "no Docker Engine answers; start it, or set DOCKER_HOST"
    return ""
