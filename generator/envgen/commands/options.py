"""Options that several commands have in common."""

import argparse


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
