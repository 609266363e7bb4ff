"""Fetching presets that do not come with envgen: from git, from a wheel, from a plugin."""

import configparser
import sys
import tempfile
from pathlib import Path
from typing import Final, assert_never

import msgspec

from envgen import process
from envgen.errors import LockError, NetworkError, StorageError
from envgen.lockers.indexes import PackageIndex, normalize
from envgen.plugins import find_package_folder
from envgen.spec.model import Network
from envgen.spec.preset_reference import GitPreset, PackagePreset, PluginPreset, Reference

GROUP: Final = "envgen.presets"

_TIMEOUT_S: Final = 300
# Nobody is asked for a password: that would stop everything where nobody is. Git's own credential
# helpers and ssh's agent answer for private repositories. The last one is for Windows.
_GIT_ENV: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GCM_INTERACTIVE": "never"}


def fetch_preset(reference: Reference, network: Network, root: Path) -> bytes:
    """Return the bytes of a preset's file. Nothing that is fetched is run.

    Args:
        reference: What the spec names.
        network: How the spec reaches package indexes.
        root: The spec's folder.

    Raises:
        LockError: There is no such file.
        NetworkError: The repository or the index did not deliver.
        ToolError: git is not there, or a plugin is broken.

    """
    match reference:
        case GitPreset():
            return _fetch_git(reference, network, root)
        case PackagePreset():
            return _fetch_package(reference, network, root)
        case PluginPreset():
            folder = find_package_folder(GROUP, reference.preset)
            return _read(folder / f"{reference.preset}.toml", reference.preset)
        case _:
            assert_never(reference)


def _fetch_git(reference: GitPreset, network: Network, root: Path) -> bytes:
    git = process.find_program(
        "git", why="the spec has a preset from a git repository", fix="install git"
    )
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        folder = Path(scratch)
        # Named, because inside of a hook git's variables lead to the repository of the hook.
        env = {**_GIT_ENV, "GIT_DIR": str(folder / ".git"), "GIT_WORK_TREE": scratch}
        if network.ca_certificates:
            env["GIT_SSL_CAINFO"] = str(root / network.ca_certificates)
        _git(git, folder, env, "init", "--quiet")
        # The commit's name is made of its content, and git checks that when it receives it.
        arguments = ("fetch", "--quiet", "--no-tags", "--depth=1", reference.url, reference.commit)
        done = _git(git, folder, env, *arguments)
        if done.returncode:
            raise NetworkError.single(
                f"git could not fetch {reference.commit[:12]} of {reference.url}",
                why=done.stderr.strip(),
                fix="check the address, that the commit is pushed, and that `git fetch` may read "
                "it from here",
            )
        # Standard output is text to us, and a preset is bytes: unpack-file writes them to a file.
        place = f"{reference.commit}:{reference.path}"
        done = _git(git, folder, env, "unpack-file", place)
        if done.returncode:
            raise _missing(f"{reference.url} at {reference.commit[:12]}", reference.path)
        return _read(folder / done.stdout.strip(), reference.path)


def _git(git: str, folder: Path, env: dict[str, str], *arguments: str) -> process.Finished:
    return process.run([git, *arguments], cwd=folder, env=env, timeout_s=_TIMEOUT_S)


def _fetch_package(reference: PackagePreset, network: Network, root: Path) -> bytes:
    from envgen.lockers import uv_program  # noqa: PLC0415 - few specs have such a preset

    wanted = f"{reference.name}=={reference.version}"
    certificates = root / network.ca_certificates if network.ca_certificates else None
    own = _find_index(reference.name, network)
    env = uv_program.uv_environment(
        "" if own else network.index or "", certificates, indexes=(own,) if own else ()
    )
    if own:
        env["UV_DEFAULT_INDEX"] = f"{own.name}={own.url}"
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        command = uv_program.uv_command(env, "pip", "install", "--quiet", "--no-deps", "--no-build")
        options = ("--python", sys.executable, "--target", scratch, wanted)
        done = process.run([*command, *options], cwd=Path(scratch), env=env, timeout_s=_TIMEOUT_S)
        if done.returncode:
            error = uv_program.explain_failure("", done.stderr, (own,) if own else ())
            raise type(error)(
                *(msgspec.structs.replace(problem, key="") for problem in error.problems)
            )
        return _read_from_wheel(Path(scratch), reference, wanted)


def _find_index(package: str, network: Network) -> PackageIndex | None:
    """Return the index that the spec names the package for: no other is asked for it."""
    for name, index in network.indexes.items():
        if normalize(package) in map(normalize, index.packages):
            return PackageIndex(
                name=name, declared=name, url=index.url, packages=(normalize(package),)
            )
    return None


def _read_from_wheel(folder: Path, reference: PackagePreset, wanted: str) -> bytes:
    """Return the preset that the entry points of an unpacked wheel name, without importing it."""
    entries = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    # Names of entry points are case-sensitive, and so are packages.
    entries.optionxform = str  # type: ignore[assignment,method-assign]
    entries.read(folder.glob("*.dist-info/entry_points.txt"), encoding="utf-8")
    package = entries.get(GROUP, reference.preset, fallback="")
    if not all(part.isidentifier() for part in package.split(".")):
        known = ", ".join(entries[GROUP]) if entries.has_section(GROUP) else "none"
        raise LockError.single(
            f"{wanted} has no preset {reference.preset!r}",
            why=f"its entry points in the group {GROUP}: {known}",
            fix="name one of them, or another version",
        )
    path = folder.joinpath(*package.split("."), f"{reference.preset}.toml")
    return _read(path, f"{wanted}, {path.relative_to(folder).as_posix()}")


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LockError.single(f"there is no preset {name}") from None
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=path.name, why=error.strerror or str(error)
        ) from error


def _missing(where: str, path: str) -> LockError:
    return LockError.single(f"{where} has no file {path}", fix="check the path behind the #")
