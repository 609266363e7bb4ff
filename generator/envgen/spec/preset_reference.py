"""Presets that do not come with envgen: how a spec names them, pinned."""

import re
from pathlib import PurePosixPath
from typing import Final

import msgspec

from envgen.errors import LockError
from envgen.lock.model import LOCK_FILE, LockedPreset
from envgen.spec.forms import Fault

FOLDER: Final = "environments/presets"
"""Where presets are kept, relative to the spec."""

_GIT: Final = re.compile(
    r"git\+(?P<url>(?:https://|ssh://(?:git@)?)[A-Za-z0-9.-]+(?::[0-9]+)?/[A-Za-z0-9._~/-]+)"
    r"@(?P<commit>[0-9a-f]{40}|[0-9a-f]{64})#(?P<path>[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*\.toml)"
)
_PACKAGE: Final = re.compile(
    r"package:(?P<name>[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*)"
    r"==(?P<version>[0-9][A-Za-z0-9.!+]*)#(?P<preset>[a-z0-9]+(?:-[a-z0-9]+)*)"
)
_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

_AS_GIT: Final = "git+https://git.example/team/presets@COMMIT#train.toml"
_AS_PACKAGE: Final = "package:acme-presets==1.2.3#train"


class GitPreset(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a git repository at a commit."""

    url: str
    commit: str
    path: str


class PackagePreset(msgspec.Struct, frozen=True, kw_only=True):
    """A preset in a wheel of the package index."""

    name: str
    version: str
    preset: str


class PluginPreset(msgspec.Struct, frozen=True, kw_only=True):
    """A preset of a package that is installed beside envgen."""

    preset: str


Reference = GitPreset | PackagePreset | PluginPreset


def parse_reference(text: str) -> Reference | None:
    """Return what a reference names; None for what is none."""
    if found := _GIT.fullmatch(text):
        reference = GitPreset(**found.groupdict())
        return None if ".." in PurePosixPath(reference.path).parts else reference
    if found := _PACKAGE.fullmatch(text):
        return PackagePreset(**found.groupdict())
    return PluginPreset(preset=text) if _NAME.fullmatch(text) else None


def preset_path(locked: LockedPreset) -> str:
    """Return where a preset is kept, relative to the spec.

    Raises:
        LockError: The lock has something that is no reference.

    """
    reference = parse_reference(locked.reference)
    if reference is None:
        raise LockError.single(
            f"has a preset {locked.reference!r}, which is none",
            file=LOCK_FILE,
            fix="run `python -m envgen lock` to make a new one",
        )
    return f"{FOLDER}/{_name_file(reference)}-{locked.sha256[:12]}.toml"


def _name_file(reference: Reference) -> str:
    if not isinstance(reference, GitPreset):
        return reference.preset
    stem = PurePosixPath(reference.path).stem.lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "preset"


def check_reference(text: str) -> Fault | None:
    """Refuse what is neither a name nor a reference to something that cannot change."""
    if parse_reference(text) is not None:
        return None
    if text.startswith("git+"):
        return _explain_git(text)
    if text.startswith("package:"):
        return Fault(
            f"{text!r} does not name a preset of one version of a package",
            fix=f'as "{_AS_PACKAGE}"',
        )
    return Fault(
        f"{text!r} is not a preset",
        fix=f'write the name of one, or as "{_AS_GIT}" or\n"{_AS_PACKAGE}"',
    )


def _explain_git(text: str) -> Fault:
    # Of a text with a login nothing is repeated: it may hold a password.
    if re.match(r"git\+\w+://[^/]*@", text) and not text.startswith("git+ssh://git@"):
        return Fault(
            "points to a repository with a login",
            why="the spec is committed; git asks its credential helpers, or ssh its keys",
            fix=f'as "{_AS_GIT}"',
        )
    if text.startswith("git+file:"):
        return Fault(
            "points to a folder of one machine",
            why="everybody who locks the project has to be able to read it",
            fix=f'name where it is published, as "{_AS_GIT}";\n'
            "git's own url.<base>.insteadOf leads that to a folder, on the machine that has it",
        )
    return Fault(
        f"{text!r} does not name a file of a repository at one commit",
        why="a tag or a branch may be something else tomorrow",
        fix=f'as "{_AS_GIT}", with the 40 hex digits of the commit\nand over https or ssh',
    )
