"""Which preset suits what was found, why, and how it starts the code that is there."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envgen.adopt.code import Code
from envgen.adopt.found import Found
from envgen.presets import read_preset

NO_PRESET: Final = "none"
_WEB: Final = ("fastapi", "starlette")
_SUITS: Final[tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]] = (
    ("vllm-serve", (("vllm",),)),
    ("diffusers-serve", (("diffusers",), _WEB)),
    ("huggingface-serve", (("transformers",), _WEB)),
    ("pytorch-serve", (("torch",), _WEB)),
    ("tensorflow-serve", (("tensorflow",), _WEB)),
    ("onnxruntime-serve", (("onnxruntime",), _WEB)),
    ("sklearn-serve", (("scikit-learn",), _WEB)),
    ("huggingface-finetune", (("transformers",), ("peft", "trl", "datasets"))),
    ("lightning-train", (("lightning",),)),
    ("jax-train", (("jax",), ("flax", "optax"))),
    ("tensorflow-train", (("tensorflow",),)),
    ("pytorch-train", (("torch",),)),
    ("xgboost-train", (("xgboost",),)),
    ("jupyter", (("jupyterlab", "notebook", "jupyter"),)),
)
"""A preset, and of which packages it takes one each; the first that suits is proposed."""
_ON_GPUS: Final = {"jax", "lightning", "tensorflow", "torch", "vllm"}


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A preset for what was found.

    Attributes:
        preset: Its name; empty for none.
        why: The packages that it was chosen for.
        against: Why it is not taken without being asked for; empty where nothing is against it.

    """

    preset: str = ""
    why: str = ""
    against: str = ""


def propose(found: Found, code: Code, root: Path) -> Proposal:
    """Return the preset that suits best, if one does."""
    names = _names(found)
    for preset, groups in _SUITS:
        chosen = [next((name for name in group if name in names), "") for group in groups]
        if all(chosen):
            return Proposal(
                preset=preset,
                why=" and ".join(chosen),
                against=_find_objection(preset, found, code, root),
            )
    return Proposal()


def apply(found: Found, preset: str, code: Code, root: Path) -> Found:
    """Return what was found with a preset, and with how the code that is there is started.

    Args:
        found: What was found.
        preset: A preset's name; empty for none.
        code: What the code says.
        root: The folder of the project.

    """
    image = read_preset(preset)["image"] if preset else {}
    found = msgspec.structs.replace(found, preset=preset)
    if image.get("gpu"):
        found = msgspec.structs.replace(found, gpu=bool(found.cuda))
    if preset and _has_its_code(image, root):
        # Its own command suits its own folder.
        return msgspec.structs.replace(found, command=(), port=0)
    started = _start(found, image, code)
    if not started and image.get("copy"):
        return msgspec.structs.replace(found, copy=())
    if not started and found.command:
        named = tuple(word for word in found.command if word in code.files)
        started = {"copy": tuple(dict.fromkeys((*named, *code.own)))}
    return msgspec.structs.replace(found, **started)


def names_gpu(found: Found, code: Code) -> bool:
    """Return whether the code names CUDA, and a package that is required can use it."""
    return bool(code.cuda and _names(found) & _ON_GPUS and found.locker != "conda-lock")


def _names(found: Found) -> set[str]:
    texts = (*found.dependencies, *found.pins)
    return {canonicalize_name(Requirement(text).name) for text in texts}


def _find_objection(preset: str, found: Found, code: Code, root: Path) -> str:
    image = read_preset(preset)["image"]
    if found.native or found.conda:
        return "what is locked already, or comes from conda, need not fit its requirements"
    clash = _find_clash(found.dependencies, image["dependencies"])
    if clash:
        return clash
    if image.get("copy") and not _has_its_code(image, root) and not _start(found, image, code):
        command = " ".join(image["command"][:2])
        return f"it runs `{command}` from {image['copy'][0]}, which is not here yet"
    return ""


def _has_its_code(image: dict[str, object], root: Path) -> bool:
    """Return whether what a preset copies is there, with the module that it runs."""
    copied, command = image.get("copy"), image.get("command")
    if not isinstance(copied, list) or not isinstance(command, list):
        return False
    folder = root / str(copied[0])
    return (folder / ("main.py" if "app.main:app" in command else "__main__.py")).is_file()


def _start(found: Found, image: dict[str, object], code: Code) -> dict[str, object]:
    """Return copy, command and port for code that can be started as it is; else nothing."""
    brought = {*_names(found), *_requirement_names(image.get("dependencies"))}
    trains = bool(image) and not image.get("port")
    if code.app and "uvicorn" in brought and not trains:
        port = found.port or 8000
        words = ("uvicorn", code.app, "--host", "0.0.0.0", "--port", str(port))  # noqa: S104
        first = re.split(r"[.:]", code.app)[0]
        copied = _copied(code, f"{first}.py" if f"{first}.py" in code.files else f"{first}/")
        shown = {} if image.get("port") == port else {"port": port}
        return {"copy": copied, "command": words, **shown}
    if trains and len(code.scripts) == 1:
        script = code.scripts[0]
        return {"copy": _copied(code, script), "command": ("python", script), "port": 0}
    return {}


def _copied(code: Code, first: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((first, *code.own)))


def _requirement_names(texts: object) -> set[str]:
    listed = texts if isinstance(texts, list) else []
    return {canonicalize_name(Requirement(text).name) for text in listed}


def _find_clash(own: Iterable[str], added: Collection[str]) -> str:
    """Return which requirement a preset's one contradicts; empty where both can be met."""
    bounds = {canonicalize_name(Requirement(text).name): Requirement(text) for text in added}
    for text in own:
        mine = Requirement(text)
        its = bounds.get(canonicalize_name(mine.name))
        if its and not _can_meet(mine.specifier, its.specifier):
            return f"it needs {its}, and {mine} is required here"
    return ""


def _can_meet(left: SpecifierSet, right: SpecifierSet) -> bool:
    """Return whether a version satisfies both: one that either names, or the next after it."""
    named = {spec.version.removesuffix(".*") for spec in (*left, *right)}
    tried = {version for text in named for version in (text, f"{text}.1", f"{text}.post1")}
    return not tried or any(
        left.contains(version, prereleases=True) and right.contains(version, prereleases=True)
        for version in tried
        if _is_version(version)
    )


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
