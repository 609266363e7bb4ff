"""What a builder is asked beside the build itself: caches, platforms, output, and the push after.

What each driver of Buildx can do: docs.docker.com/build/builders/drivers. The default one of an
engine builds for one platform, exports only inline caches, and compresses as the engine does.
"""

import argparse
from collections.abc import Iterator
from typing import Final, Literal, get_args

import msgspec

from envgen import process
from envgen.errors import LockError, ToolError, UsageError
from envgen.plan.model import ImagePlan

Compression = Literal["gzip", "zstd", "estargz"]

JOBS: Final = 4
"""Builds at a time, where there are several images. The engine bounds what they do at once
(BuildKit's max-parallelism); this bounds the clients, and what is kept of their output."""


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a builder is asked.

    Attributes:
        cache_from: Caches to read, as Buildx takes them.
        cache_to: Caches to write, as Buildx takes them.
        platforms: To build for; empty for the image's own, or the engine's where it has several.
        compression: Of the layers that are pushed; empty for the builder's own.
        push: Push what was built under its tags.
        builder: The builder of Buildx that builds all images in one run; empty for the engine.

    """

    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    compression: Compression | Literal[""] = ""
    push: bool = False
    builder: str = ""

    @property
    def pushes_itself(self) -> bool:
        """Whether the builder has to push, since an engine's store cannot hold what it makes."""
        return self.push and bool(self.builder or self.compression or len(self.platforms) > 1)


def add_builder_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `BuildOptions`, and how many builds run at a time."""
    group = parser.add_argument_group("builder")
    group.add_argument(
        "--builder",
        default="",
        metavar="NAME",
        help="build all images at once with a builder of `docker buildx ls`: remote, Kubernetes, …",
    )
    group.add_argument(
        "--cache-from",
        action="append",
        default=[],
        metavar="CACHE",
        help="read a cache: REGISTRY/NAME, or as Buildx has it (type=…); may be repeated",
    )
    group.add_argument(
        "--cache-to",
        action="append",
        default=[],
        metavar="CACHE",
        help="write a cache: REGISTRY/NAME, inline (into the image), or type=…; may be repeated",
    )
    group.add_argument(
        "--platform",
        action="append",
        default=[],
        metavar="PLATFORM",
        help="build for it, of those that the spec names; several need --push",
    )
    group.add_argument(
        "--push", action="store_true", help="push to the spec's repositories, and under the tags"
    )
    group.add_argument(
        "--compression",
        choices=get_args(Compression),
        default="",
        help="of pushed layers; needs --push and a builder that can (docker-container)",
    )
    group.add_argument(
        "--jobs", type=int, default=JOBS, metavar="N", help=f"builds at a time (default: {JOBS})"
    )


def read_builder_options(arguments: argparse.Namespace) -> BuildOptions:
    """Return what the command line asks of the builder.

    Raises:
        UsageError: Options do not go together.

    """
    options = BuildOptions(
        cache_from=tuple(_name_cache(text) for text in arguments.cache_from),
        cache_to=tuple(_name_cache(text, writes=True) for text in arguments.cache_to),
        platforms=tuple(dict.fromkeys(arguments.platform)),
        compression=arguments.compression,
        push=arguments.push,
        builder=arguments.builder,
    )
    if not options.push and (options.compression or len(options.platforms) > 1):
        raise UsageError.single(
            "the image would be lost",
            key="--compression" if options.compression else "--platform",
            why="an engine's own store holds neither several platforms nor other compressions",
            fix="add --push",
        )
    if arguments.jobs < 1:
        raise UsageError.single("is less than one", key="--jobs", fix="as --jobs 4")
    return options


def _name_cache(text: str, *, writes: bool = False) -> str:
    """Return a cache as Buildx takes it."""
    if text.startswith("type="):
        return text
    if text == "inline":
        return "type=inline"
    # Without `max` only the layers of the final image are there, and no stage is ever found again.
    return f"type=registry,ref={text}" + (",mode=max" if writes else "")


def require_platforms(options: BuildOptions, image: ImagePlan) -> None:
    """Refuse platforms that an image is not locked for.

    Raises:
        UsageError: It is not.

    """
    missing = [name for name in options.platforms if name not in image.platforms]
    if missing:
        raise UsageError.single(
            f"image {image.name} is not locked for {' and '.join(missing)}",
            key="--platform",
            fix=f"one of {', '.join(image.platforms)}, or add it to `platforms` in the spec",
        )


def choose_platforms(options: BuildOptions, image: ImagePlan) -> tuple[str, ...]:
    """Return what an image is built for; empty leaves it to the builder."""
    return options.platforms or (image.platforms if len(image.platforms) == 1 else ())


def list_builder_options(
    options: BuildOptions, image: ImagePlan, tags: tuple[str, ...]
) -> Iterator[str]:
    """Yield the words of the command that builds an image."""
    platforms = choose_platforms(options, image)
    if platforms:
        yield from ("--platform", ",".join(platforms))
    for cache in options.cache_from:
        yield from ("--cache-from", cache)
    for cache in options.cache_to:
        yield from ("--cache-to", cache)
    if options.pushes_itself:
        yield from ("--output", describe_output(options, tags))
    else:
        for tag in tags:
            yield from ("--tag", tag)


def describe_output(options: BuildOptions, tags: tuple[str, ...]) -> str:
    """Return where an image goes that its builder pushes, as a line of CSV."""
    names = ",".join(tags)
    fields = ["type=image", f'"name={names}"' if len(tags) > 1 else f"name={names}", "push=true"]
    if options.compression:
        # Without force what the cache holds keeps the compression that it has.
        fields += [f"compression={options.compression}", "force-compression=true"]
        fields.append("oci-mediatypes=true")
    return ",".join(fields)


def push_image(docker: str, tags: tuple[str, ...], *, quiet: bool) -> None:
    """Push what an engine has under each tag.

    Raises:
        ToolError: A registry did not take it.

    """
    for tag in tags:
        done = process.run([docker, "push", tag], passthrough=not quiet)
        if done.returncode:
            raise ToolError.single(
                f"docker push failed for {tag}",
                why="\n".join(done.stderr.strip().splitlines()[-5:]) or "its last lines are above",
                fix="`docker login` to its registry, and a tag that names this registry",
            )


def require_size(docker: str, image: ImagePlan, identity: str) -> None:
    """Refuse an image that is larger than the spec allows, as the engine weighs it.

    Raises:
        LockError: It is.

    """
    if not image.max_bytes:
        return
    done = process.run([docker, "image", "inspect", "--format={{.Size}}", identity])
    if done.returncode or not done.stdout.strip().isdigit():
        return
    size = int(done.stdout)
    if size > image.max_bytes:
        raise LockError.single(
            f"the image weighs {size / 1e9:.2f} GB, and the spec allows "
            f"{image.max_bytes / 1e9:.2f} GB",
            key=f"images.{image.name}.max-size",
            why="that is with its base, its bytecode and the application",
            fix="leave files out with `trim`, ask for fewer packages, or allow more",
        )
