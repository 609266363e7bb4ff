"""Options that several commands have in common."""

import argparse
from typing import TYPE_CHECKING

from envgen.console import Console

if TYPE_CHECKING:
    from envgen.spec.pinned_presets import Fetch


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add the images to work on, and `--json`."""
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="default: all of the spec")
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def add_lock_modes(parser: argparse.ArgumentParser) -> None:
    """Add what to do about a stale lock and about edited files."""
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--locked", action="store_true", help="fail where the lock is stale")
    modes.add_argument("--frozen", action="store_true", help="take the lock as it is, unchecked")
    parser.add_argument("--force", action="store_true", help="overwrite edited files")
    add_accept_presets(parser)


def add_accept_presets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-presets",
        action="store_true",
        help="use presets of others that envgen.lock does not have yet; they are shown",
    )


def choose_fetch(arguments: argparse.Namespace, console: Console) -> "Fetch | None":
    """Return what fetches presets for a command; None where its options say not to lock."""
    modes = ("check", "locked", "frozen")
    if any(getattr(arguments, mode, False) for mode in modes):
        return None
    from envgen.commands.accept import make_fetch  # noqa: PLC0415 - checks fetch nothing

    return make_fetch(console, accepted=arguments.accept_presets)
