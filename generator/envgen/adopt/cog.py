"""cog.yaml: its Python, packages and variables; what Cog itself does has no place in a spec."""

import re
from collections.abc import Mapping
from typing import Any, Final

from envgen.adopt.found import Gathering, strings, table
from envgen.adopt.requirements import read_requirement_lines
from envgen.adopt.yaml import parse_yaml

_SERVER: Final = (
    "Cog's own server runs it",
    "name the code in `copy`, and in `command` what serves it",
)
_LEFT_AT_TOP: Final = {
    "predict": _SERVER,
    "train": _SERVER,
    "concurrency": ("it is an option of Cog's server", ""),
    "image": ("`envgen build --tag` names an image", ""),
    "model": ("it is where Cog pushes to; `envgen build --tag` names an image", ""),
    "weights": ("it is an option of Cog", ""),
}
_CARRIED: Final = {
    "environment",
    "gpu",
    "python_packages",
    "python_requirements",
    "python_version",
}


def read_cog(gathering: Gathering) -> None:
    """Gather a cog.yaml.

    Raises:
        SpecError: It is not YAML.

    """
    document = parse_yaml(gathering)
    build, where = table(document, "build"), gathering.path.name
    gathering.python = str(build.get("python_version", ""))
    gathering.gpu = build.get("gpu") == "true"
    for line in strings(build.get("python_packages")):
        read_requirement_lines(gathering, line, where)
    if build.get("python_requirements"):
        read_requirement_lines(gathering, f"-r {build['python_requirements']}", where)
    for line in strings(build.get("environment")):
        name, _, value = line.partition("=")
        gathering.set_env(name, value)
    _leave_build(gathering, build)
    for key in document:
        if key != "build":
            why, fix = _LEFT_AT_TOP.get(key, ("envgen does not know this key", ""))
            gathering.leave(f"{key}: {document[key]}", why=why, fix=fix)


def _take_cuda(gathering: Gathering, named: str) -> None:
    """Take the CUDA that conda's builds are chosen for: a release, of `11.8.0` too."""
    release = re.match(r"[0-9]+\.[0-9]+", named)
    if release:
        gathering.cuda = release[0]
    else:
        gathering.leave(
            "the CUDA of the hosts",
            why="the file names none, and conda chooses builds by it",
            fix='write the newest that all hosts support into gpu.cuda, as "12.8"',
        )


def _leave_build(gathering: Gathering, build: Mapping[str, Any]) -> None:
    gathering.leave_group(
        "system packages",
        strings(build.get("system_packages")),
        why="many are for building only, and wheels bring what they need "
        "(opencv-python-headless instead of opencv-python)",
        fix="write those that are needed at run time into the image's `apt`",
    )
    for key in ("run", "pre_install"):
        entries = build.get(key)
        for entry in entries if isinstance(entries, list) else []:
            gathering.leave(
                f"{key}: {entry}",
                why="a command that downloads or installs gives another image each time",
                fix="take the package from an index, or put the file into the image with `copy`",
            )
    if gathering.locker == "conda-lock" and gathering.gpu:
        _take_cuda(gathering, str(build.get("cuda", "")))
    elif "cuda" in build:
        gathering.leave(
            f"cuda: {build['cuda']}",
            why="packages on PyPI bring their own CUDA, and the lock records which",
            fix=f'write gpu.cuda = "{build["cuda"]}" to have the lock compared with it',
        )
    for key in build:
        if key not in {*_CARRIED, "system_packages", "run", "pre_install", "cuda"}:
            gathering.leave(f"build.{key}: {build[key]}", why="envgen does not know this key")
