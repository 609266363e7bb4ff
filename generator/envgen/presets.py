"""The starting points of images: those of presets/environments/*.toml, and what any of them does.

A preset holds the keys of an image. What the spec writes beside `preset = "…"` wins, key by key in
the tables `gpu` and `env`; the lists of dependencies are added up.
"""

import functools
import tomllib
from typing import Any, Final

from envgen.resources import PRESETS

_FOLDER: Final = PRESETS / "environments"
_ADDED: Final = ("dependencies",)
_MERGED: Final = ("env", "gpu")


@functools.cache
def preset_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@functools.cache
def read_preset(name: str) -> dict[str, Any]:
    """Return the whole document of a preset that `preset_names` has."""
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def apply_preset(preset: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """Return an image's table with its preset's keys under its own."""
    merged = {**preset, **image}
    for key in _ADDED:
        own = image.get(key, [])
        if isinstance(own, list):
            # The spec's own come first, so that messages count them as the file does.
            merged[key] = [*own, *preset.get(key, [])]
    for key in _MERGED:
        own = image.get(key, {})
        if isinstance(own, dict) and key in merged:
            merged[key] = {**preset.get(key, {}), **own}
    return merged
