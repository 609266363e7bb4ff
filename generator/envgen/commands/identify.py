"""`envgen identify`: from a model version, an image or a container to spec, lock and commit."""

import argparse
from typing import TYPE_CHECKING, Final

import msgspec

from envgen.console import Console
from envgen.errors import UsageError

if TYPE_CHECKING:
    from envgen.identity.model import Identity
    from envgen.identity.search import Found

EXAMPLES: Final = """\
  python -m envgen identify mlflow:sentiment/3
  python -m envgen identify registry.example/sentiment@sha256:…
  python -m envgen identify 4f1c2a7b9d10        # a container, or an image's ID"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="WHAT", help="a model version, as for `register`; an image; a container"
    )
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen.identity.images import read_image  # noqa: PLC0415 - only this command needs them
    from envgen.identity.model import from_tags  # noqa: PLC0415
    from envgen.identity.search import find_commit  # noqa: PLC0415
    from envgen.identity.targets import find_target  # noqa: PLC0415
    from envgen.spec.load import find_root  # noqa: PLC0415

    target = find_target(arguments.what)
    identity = from_tags(target.read()) if target else read_image(arguments.what)
    if identity is None:
        raise UsageError.single(
            f"{arguments.what} does not tell its environment",
            why="nothing of envgen's is written there",
            fix="`envgen register` writes it beside a model; images have it from `envgen build`",
        )
    root = find_root(arguments.directory.absolute())
    found = find_commit(root, identity) if root else None
    console.result(
        "\n".join(_describe(identity, found, inside=root is not None)),
        {"identity": msgspec.to_builtins(identity), "commit": msgspec.to_builtins(found)},
    )
    return 0


def _describe(identity: "Identity", found: "Found | None", *, inside: bool) -> list[str]:
    facts: dict[str, str] = msgspec.to_builtins(identity)
    lines = [f"{name}: {value}" for name, value in facts.items()]
    if found is None:
        where = "no commit here has this lock" if inside else "run it in the repository of the spec"
        return [*lines, f"commit: not found; {where}"]
    also = "with this spec and this lock" if found.spec else "with this lock and another spec"
    return [*lines, f"commit: {found.commit} ({also})"]
