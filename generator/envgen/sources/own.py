"""What an image has from the project: configuration, application, and envgen's own files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from envgen.image.canonical import SPEC_LABEL
from envgen.plan.image import RUNTIME_FOLDER, VENV
from envgen.plan.model import ImagePlan
from envgen.sources.claims import Claims
from envgen.spec.load import LoadedSpec

_VENV_FILES: Final = (
    ".gitignore",
    "CACHEDIR.TAG",
    "pyvenv.cfg",
    "lib64",
    "bin/activate",
    "bin/activate.bat",
    "bin/activate.csh",
    "bin/activate.fish",
    "bin/activate.nu",
    "bin/activate.ps1",
    "bin/activate.xsh",
    "bin/activate_this.py",
    "bin/deactivate.bat",
    "bin/pydoc.bat",
    "bin/python",
    "bin/python3",
)
"""What `uv venv` makes; no program reads it but pyvenv.cfg, and none of it is run unasked."""


def check_config(config: Mapping[str, Any], plan: ImagePlan, loaded: LoadedSpec) -> list[str]:
    """Return what in an image's configuration is not what spec and lock give."""
    given = config.get("config") or {}
    labels = {**dict(plan.labels), SPEC_LABEL: f"sha256:{loaded.sha256}"}
    found = given.get("Labels") or {}
    if SPEC_LABEL not in found:  # a canonical image has it in its provenance
        del labels[SPEC_LABEL]
    problems = [
        f"the label {key} is {found.get(key, 'missing')}, and spec and lock give {value}"
        for key, value in labels.items()
        if found.get(key) != value
    ]
    env = dict(entry.partition("=")[::2] for entry in given.get("Env") or ())
    problems += [
        f"the variable {key} is {env.get(key, 'missing')!r}, and spec and lock give {value!r}"
        for key, value in plan.env
        if env.get(key) != value
    ]
    problems += _check_more_variables(env, plan)
    return problems + [
        f"{key} is {given.get(key)!r}, and spec and lock give {value!r}"
        for key, value in _run_settings(plan).items()
        if (given.get(key) or None) != value
    ]


def _check_more_variables(env: Mapping[str, str], plan: ImagePlan) -> list[str]:
    """Return what is wrong with the variables that the plan does not hold."""
    problems = []
    if not env.get("PATH", "").startswith(f"{VENV}/bin:"):
        problems.append(f"PATH is {env.get('PATH', 'missing')!r}, and the environment is not first")
    # Another base brings variables of its own; nothing of the official Python image's is kept.
    if plan.base.official_python:
        more = sorted(env.keys() - dict(plan.env).keys() - {"PATH", "LANG"})
        problems += [f"the variable {name} comes from nothing in the spec" for name in more]
    return problems


def _run_settings(plan: ImagePlan) -> dict[str, Any]:
    settings: dict[str, Any] = {"User": "10001:10001", "WorkingDir": plan.workdir}
    if plan.command:
        settings["Cmd"] = list(plan.command)
    if plan.entrypoint:
        settings["Entrypoint"] = list(plan.entrypoint)
    return settings


def claim_own(claims: Claims, plan: ImagePlan, root: Path) -> None:
    """Claim what the build copies from the project, each file held to the one on disk."""
    workdir = plan.workdir.strip("/")
    claims.claim(workdir.encode(), "the project")
    for path in plan.copies:
        for file in _list_files(root / path):
            below = file.relative_to(root).as_posix()
            if _is_copied(below):
                claims.hold(f"{workdir}/{below}".encode(), _digest(file), "the project")
    if plan.has_runtime:
        runtime = root / plan.folder / "runtime"
        for file in _list_files(runtime):
            place = f"{RUNTIME_FOLDER.strip('/')}/{file.relative_to(runtime).as_posix()}"
            claims.hold(place.encode(), _digest(file), "envgen's own files")


def claim_venv(claims: Claims, python: str) -> None:
    """Claim what `uv venv` makes."""
    for name in (*_VENV_FILES, f"bin/python{python}"):
        path = f"{VENV.strip('/')}/{name}".encode()
        if claims.find(path) is not None:
            claims.claim(path, "`uv venv`, not compared")


def _list_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink())


def _is_copied(path: str) -> bool:
    """Tell whether the rendered Dockerfile.dockerignore lets a file into the build."""
    parts = path.split("/")
    return not ({".git", ".env", "__pycache__"} & set(parts) or path.endswith(".pyc"))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
