"""uv as a program: `uv lock`, `uv export`, the settings that it runs with, what failures mean."""

import functools
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from envgen import process
from envgen.errors import EnvgenError, LockError, NetworkError, ToolError
from envgen.lockers import LockRequest, LockResult
from envgen.lockers.indexes import PackageIndex, exempt_packages, login_variables, normalize
from envgen.lockers.uv import INDEX_NAME, NATIVE
from envgen.rendered import RenderedFile

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 900


@functools.cache
def find_uv() -> str:
    """Return the path of the uv that came with envgen."""
    import uv  # noqa: PLC0415 - only locking needs it

    return str(uv.find_uv_bin())


_KEPT: Final = re.compile(
    r"UV_(?:CACHE_DIR|NO_CACHE|OFFLINE|KEYRING_PROVIDER|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|LINK_MODE"
    r"|HTTP_\w+|REQUEST_TIMEOUT|CONCURRENT_\w+|INDEX_\w+_(?:USERNAME|PASSWORD))"
)
"""What uv may take from this machine: how it reaches an index, not what it chooses there."""


def uv_command(env: Mapping[str, str], *arguments: str) -> list[str]:
    """Return the command that runs uv without this machine's own settings for it.

    A variable can be set for a program that is started, and not be taken away, and some of uv's
    have no value that means nothing; so the program `env` takes them away.

    Args:
        env: The variables that it is started with, which stay.
        arguments: uv's own.

    """
    settings = sorted(name for name in os.environ if _is_setting(name) and name not in env)
    unset = [f"--unset={name}" for name in settings]
    return [*(["env", *unset] if unset else []), find_uv(), *arguments]


def _is_setting(variable: str) -> bool:
    return variable.startswith("UV_") and _KEPT.fullmatch(variable) is None


@functools.cache
def probe_version() -> str:
    """Return uv's version.

    Raises:
        ToolError: uv does not run here.

    """
    done = process.run([find_uv(), "--version"], timeout_s=30)
    found = re.match(r"uv (\S+)", done.stdout)
    if done.returncode or not found:
        raise ToolError.single("uv does not run", why=done.stderr.strip() or done.stdout.strip())
    return found[1]


def lock(
    request: LockRequest,
    projects: Sequence[bytes],
    *,
    current: bytes | None,
    ca_certificates: Path | None,
) -> LockResult:
    """Run `uv lock` in a folder of its own and return what it pinned.

    Args:
        request: What is locked.
        projects: The pyproject.toml files that are locked one after the other, each run keeping
            the pins of the one before; the lock is the last one's.
        current: The lock so far, whose pins are kept where they fit.
        ca_certificates: Certificates that the index may have.

    Raises:
        LockError: The requirements cannot be met, or an artifact has no hash.
        NetworkError: The index did not answer.
        ToolError: uv is missing or failed for a reason of its own.

    """
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        folder = Path(scratch)
        if current is not None:
            (folder / NATIVE).write_bytes(current)
        env = uv_environment(
            request.index,
            ca_certificates,
            exclude_newer=request.exclude_newer,
            indexes=request.indexes,
        )
        upgrade = [f"--upgrade-package={name}" for name in request.upgrade]
        offline = False
        for project in projects:
            (folder / "pyproject.toml").write_bytes(project)
            offline |= _lock(request, folder, env, upgrade)
            upgrade = []
        # It loads while other images' uv runs.
        from envgen.lockers.uv_hashes import complete_hashes  # noqa: PLC0415

        hashed = complete_hashes(
            (folder / NATIVE).read_text(encoding="utf-8"), request, ca_certificates
        )
        (folder / NATIVE).write_text(hashed.export, encoding="utf-8")
        pylock = _export(folder, env)
    from envgen.lock.pylock import read_pylock  # noqa: PLC0415 - loads while uv runs

    return LockResult(
        native=RenderedFile(
            path=f"{request.folder}/{NATIVE}", content=hashed.lock.encode(), guarded=False
        ),
        packages=read_pylock(pylock, request),
        offline=offline,
        hashed=hashed.names,
    )


def uv_environment(
    index: str,
    ca_certificates: Path | None,
    *,
    exclude_newer: str = "",
    indexes: Iterable[PackageIndex] = (),
) -> dict[str, str]:
    """Return the variables for a uv that has these settings and none of this machine's uv.toml.

    UV_NO_CONFIG makes uv ignore the same keys of a pyproject.toml as well, so they are repeated;
    but for `tool.uv.sources` and the indexes that it names. Logins come from the environment.
    """
    env = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1", "NO_COLOR": "1"}
    if exclude_newer:
        env["UV_EXCLUDE_NEWER"] = exclude_newer
    if index:
        env["UV_DEFAULT_INDEX"] = f"{INDEX_NAME}={index}"
        env |= _login(INDEX_NAME, login_variables())
    for other in indexes:
        env |= _login(other.name, login_variables(other.declared))
    if ca_certificates:
        env["SSL_CERT_FILE"] = str(ca_certificates)
    return env


def _login(index: str, variables: tuple[str, str]) -> dict[str, str]:
    """Return the login of an index as uv takes it, by the name that its files give the index."""
    prefix = f"UV_INDEX_{index.upper().replace('-', '_')}"
    return {
        f"{prefix}_{part}": os.environ[variable]
        for part, variable in zip(("USERNAME", "PASSWORD"), variables, strict=True)
        if variable in os.environ
    }


def _lock(request: LockRequest, folder: Path, env: dict[str, str], upgrade: list[str]) -> bool:
    """Run `uv lock`, and once more from the cache where the network is gone."""
    exempt = exempt_packages(request.indexes) if request.exclude_newer else ()
    older = [f"--exclude-newer-package={name}=false" for name in exempt]
    command = uv_command(env, "lock", "--python", sys.executable, *upgrade, *older)
    done = process.run(command, cwd=folder, env=env, timeout_s=_TIMEOUT_S)
    if done.returncode == 0:
        return False
    error = explain_failure(request.image, done.stderr, request.indexes)
    if isinstance(error, NetworkError):
        retried = process.run([*command, "--offline"], cwd=folder, env=env, timeout_s=_TIMEOUT_S)
        if retried.returncode == 0:
            _log.warning("%s: the index did not answer; locked from uv's cache", request.image)
            return True
    raise error


def _export(folder: Path, env: dict[str, str]) -> str:
    command = uv_command(
        env, "export", "--frozen", "--no-header", "--quiet", "--format=pylock.toml"
    )
    done = process.run(
        [*command, "--python", sys.executable], cwd=folder, env=env, timeout_s=_TIMEOUT_S
    )
    if done.returncode:
        raise ToolError.single("uv cannot export what it locked", why=done.stderr.strip())
    return done.stdout


_NO_NETWORK: Final = re.compile(
    r"client error|error sending request|dns error|timed out|Network is unreachable"
    r"|Connection refused|Request failed after|429 Too Many|50[0-4] [A-Z]",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    r"40[13] (?:Unauthorized|Forbidden)|[Mm]issing credentials|valid authentication credentials"
)
_MISSING: Final = re.compile(r"Because (\S+) was not found in the (?:package registry|provided)")
_EMPTY: Final = re.compile(r"Because there are no versions of (\S+) and")
_UNSATISFIABLE: Final = "No solution found"


def explain_failure(image: str, stderr: str, indexes: Iterable[PackageIndex] = ()) -> EnvgenError:
    """Return the error that a failed `uv lock` amounts to, with uv's explanation trimmed."""
    key = f"images.{image}"
    indexes = tuple(indexes)
    asked = next((index for index in indexes if index.url in stderr), None)
    # Before what is missing: to uv, a package that may not be read is not there.
    if _DENIED.search(stderr):
        index = f"index {asked.declared}" if asked else "package index"
        fix = "set {} and {}".format(*login_variables(asked.declared if asked else ""))
        if asked and asked.name != asked.declared:
            # A folder that is not there answers like one that may not be read.
            fix += f";\nif it wants none, it has no builds for {asked.name.rpartition('-')[2]}"
        return NetworkError.single(
            f"the {index} wants a login", key=key, why=_trim(stderr), fix=fix
        )
    missing = _MISSING.search(stderr) or _EMPTY.search(stderr)
    owner = next((i for i in indexes if missing and normalize(missing[1]) in i.packages), None)
    if missing and owner:
        return _explain_missing(missing[1], owner, key, _trim(stderr))
    missing = _MISSING.search(stderr)
    if missing:
        return LockError.single(
            f"there is no package {missing[1]!r} on the index",
            key=key,
            why=_trim(stderr),
            fix="check its spelling, or name the index that has it in network.index",
        )
    empty = _EMPTY.search(stderr)
    if empty:
        return LockError.single(
            f"the index has no version of {empty[1]!r}",
            key=key,
            why=_trim(stderr),
            fix="check that network.index is a package index; network.exclude-newer hides versions",
        )
    if "Git executable not found" in stderr:
        return ToolError.single(
            "git is not on PATH",
            key=key,
            why="packages that come from a repository are locked with it",
            fix="install git",
        )
    if "Git operation failed" in stderr:
        return NetworkError.single(
            "git could not fetch what is asked for",
            key=key,
            why=_trim(stderr),
            fix="check the repository's address, and the tag, branch or commit",
        )
    if _UNSATISFIABLE in stderr:
        return LockError.single(
            "its dependencies cannot be met together",
            key=key,
            why=_trim(stderr),
            fix="loosen one of the constraints that the last sentence names",
        )
    if _NO_NETWORK.search(stderr):
        return NetworkError.single(
            "the package index did not answer, and uv's cache does not have what is needed",
            key=key,
            why=_trim(stderr),
            fix="check the network, the proxy variables, network.index and network.ca-certificates",
        )
    return ToolError.single("uv lock failed", key=key, why=_trim(stderr))


def _explain_missing(package: str, index: PackageIndex, key: str, why: str) -> LockError:
    """Return the error for a package that its own index does not show.

    uv says nothing of an index that wants a login: to it, the index does not have the package.
    """
    fix = "check its spelling"
    if index.name != index.declared:
        builds = index.name.removeprefix(f"{index.declared}-")
        fix += f", whether there are builds of it for {builds}"
    login = " and ".join(login_variables(index.declared))
    return LockError.single(
        f"there is no fitting {package!r} on the index {index.declared}, {index.url}",
        key=key,
        why=why,
        fix=f"{fix}, and the address; where the index wants a login, set\n{login}",
    )


_NOISE: Final = re.compile(
    r"Using CPython|error: No solution found|hint: While the active Python"
    r"|hint: The `requires-python` value"
)
_MOST_LINES: Final = 12


def _trim(stderr: str) -> str:
    """Return uv's own words without its banner, and of a long proof only the end.

    The end is where the user's own requirements meet; `--verbose` shows all of it.
    """
    lines = [
        re.sub(r"^\s*(?:cause|error): ", "", line)
        for line in stderr.splitlines()
        if line.strip() and not _NOISE.match(line.strip())
    ]
    _log.info("uv said:\n%s", stderr.rstrip())
    if len(lines) <= _MOST_LINES:
        return "\n".join(line.strip() for line in lines)
    kept = lines[-_MOST_LINES:]
    while kept and not kept[0].lstrip().startswith(("And because", "Because")):
        kept = kept[1:]
    kept = kept or lines[-_MOST_LINES:]
    left_out = len(lines) - len(kept)
    return "\n".join([f"… ({left_out} lines of uv's proof left out)", *(x.strip() for x in kept)])
