"""environment.yml and conda-lock.yml: for conda-lock as they are, else by their names on PyPI."""

import re
from typing import Final

from envgen.adopt.found import Gathering, read_text, strings, table
from envgen.adopt.requirements import read_requirement_lines
from envgen.adopt.yaml import parse_yaml
from envgen.constraints import TranslationError
from envgen.constraints.conda import to_pep440
from envgen.export.conda_lock import CondaPackage, parse_conda_lock
from envgen.lockers import conda_lock
from envgen.lockers.conda_names import known_names
from envgen.spec.forms import check_conda_channel, check_match_spec

_SPEC: Final = re.compile(
    r"(?:[^:\s\[\]]+::)?(?P<name>[A-Za-z0-9_.-]+?)\s*(?P<version>[=<>!~\s][^\[]*)?(?P<keys>\[.*\])?"
)
_PLATFORM: Final = "linux-64"
_CONDA: Final = "conda-lock"


def read_environment(gathering: Gathering) -> None:
    """Gather an environment.yml: conda's packages, those of its pip section, and variables.

    Raises:
        SpecError: It is not YAML, or no mapping.

    """
    document = parse_yaml(gathering)
    gathering.locker = gathering.locker or _CONDA
    gathering.name = str(document.get("name", ""))
    entries = document.get("dependencies")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str):
            _take_spec(gathering, entry)
        elif isinstance(entry, dict):
            for line in strings(entry.get("pip")):
                read_requirement_lines(gathering, line, gathering.path.name)
    for name, value in table(document, "variables").items():
        gathering.set_env(str(name), str(value))
    _take_channels(gathering, list(strings(document.get("channels"))))
    beside = gathering.path.with_name(conda_lock.NATIVE)
    if beside.is_file():
        gathering.keep_lock(beside, _CONDA)
    if "prefix" in document:
        gathering.leave("prefix", why="it is a folder of another machine")


def _take_channels(gathering: Gathering, channels: list[str]) -> None:
    if gathering.locker != _CONDA:
        gathering.leave_group(
            "channels",
            channels,
            why=f"{gathering.locker} takes packages from a package index, not from conda channels",
        )
        return
    for channel in channels:
        fault = check_conda_channel(channel)
        if channel == "nodefaults":
            gathering.leave(channel, why="only the channels that a spec names are asked")
        elif fault:
            gathering.leave(f"the channel {channel}", why=fault.why or fault.what, fix=fault.fix)
        else:
            gathering.channels[channel] = None
    if not gathering.channels:
        gathering.leave(
            "conda's default channels",
            why="the file names none, and conda-forge is what a spec takes then",
            fix='write channels = ["defaults"] if you have a licence for them',
        )


def _take_spec(gathering: Gathering, spec: str) -> None:
    """Carry one conda package over, or keep why not."""
    spec = re.sub(r"\s+#.*$", "", spec).strip()
    found = _SPEC.fullmatch(spec)
    if found is None:
        gathering.leave(spec, why="it is not a conda package that envgen can read")
        return
    name, version = found["name"].lower(), (found["version"] or "").rstrip()
    if gathering.locker == _CONDA and name not in {"python", "pip"}:
        _take_match_spec(gathering, spec)
        return
    if found["keys"]:
        version = _version_key(found["keys"])
        gathering.leave(
            f"{found['keys']} of {name}", why="only its version has a counterpart on PyPI"
        )
    try:
        specifier, build = to_pep440(version)
    except TranslationError as error:
        gathering.leave(spec, why=str(error), fix="write it as PEP 508, as 'numpy>=2,<3'")
        return
    if build:
        gathering.leave(f"the build {build} of {name}", why="it is conda's own")
    if name == "python":
        gathering.python = gathering.python or specifier
    elif name == "pip":
        gathering.require(name + specifier)
    else:
        _take_name(gathering, name, specifier, spec)


def _take_match_spec(gathering: Gathering, spec: str) -> None:
    """Carry a MatchSpec over as it is, but for its spaces."""
    text = re.sub(r"\s*([<>=!~,|]+)\s*", r"\1", spec)
    fault = check_match_spec(text)
    if fault:
        gathering.leave(spec, why=fault.why or fault.what, fix=fault.fix)
    else:
        gathering.conda[text] = None


def _version_key(keys: str) -> str:
    found = re.search(r"version\s*=\s*['\"]?([^'\"\],]+(?:,[^'\"\]=]+)*)", keys)
    return found[1] if found else ""


def _take_name(
    gathering: Gathering, name: str, specifier: str, spec: str, *, pin: bool = False
) -> None:
    known = known_names().get(name)
    if known is None:
        gathering.leave(
            spec,
            why="envgen does not know whether PyPI's package of that name is the same one",
            fix=f"if it is, add {name + specifier!r} to `dependencies`",
        )
    elif not known:
        gathering.leave(
            spec,
            why="it is no Python package: a program, a library, or a bundle of packages",
            fix="wheels bring their libraries; for a program, choose a `base` that has it",
        )
    else:
        gathering.require(known + specifier, pin=pin)


def read_conda_lock_file(gathering: Gathering) -> None:
    """Gather a conda-lock.yml: its versions for linux-64, exactly.

    conda-lock itself keeps the lock, and only what nothing else in it needs is required. Another
    locker gets all of its versions, by their names on PyPI.

    Raises:
        LockError: It is no conda-lock.yml.

    """
    text = read_text(gathering.path)
    lock = parse_conda_lock(text, gathering.path.name)
    packages = [package for package in lock.package if package.platform == _PLATFORM]
    needed = {need for package in packages for need in package.dependencies}
    kept = gathering.keep_lock(gathering.path, _CONDA)
    for package in packages:
        inner = package.name in needed
        if package.name == "python":
            gathering.python = f"=={package.version}"
        elif package.manager == "pip":
            gathering.require(f"{package.name}=={package.version}", pin=inner)
        elif not kept:
            _take_locked(gathering, package, pin=inner)
        elif not inner and package.name != "pip":
            _take_match_spec(gathering, f"{package.name}=={package.version}")
    if kept:
        used = dict.fromkeys(package.channel for package in packages if package.archive)
        _take_channels(gathering, [*(lock.channels or used)])
    else:
        gathering.leave(
            "conda's builds and their hashes",
            why="PyPI has other files; the versions were carried over",
        )


def _take_locked(gathering: Gathering, package: CondaPackage, *, pin: bool) -> None:
    spec = f"{package.name}={package.version}"
    try:
        specifier = to_pep440(f"=={package.version}").specifier
    except TranslationError as error:
        gathering.leave(spec, why=str(error))
        return
    if package.name == "pip":
        gathering.require(f"pip{specifier}")
    else:
        _take_name(gathering, package.name, specifier, spec, pin=pin)
