"""GPU models by the names that people, drivers and cloud providers give them."""

import functools
import re
from typing import Final

from envgen.cuda.host import Gpu
from envgen.cuda.tables import GpuModel, tables
from envgen.cuda.version import parse_capability

_GLUED: Final = re.compile(r"\b(rtx|gtx|gt|titan|quadro)(?=\d)|(?<=\d)(?=(?:ti|super)\b)")
_VENDOR: Final = frozenset({"nvidia", "geforce", "tesla", "graphics", "device"})
_SERIES: Final = ("rtx", "gtx", "gt")


def find_gpu(text: str) -> Gpu | None:
    """Return the GPU that a text names, or None.

    `NVIDIA A100-SXM4-40GB`, `Tesla V100`, `GeForce RTX 3090 Ti`, `rtx4090` and `4090` are all
    understood. The longest model name in the text counts, so that a 3080 Ti is not a 3080.
    """
    words = split_name(text)
    model = _longest_match(words)
    if model is None and len(words) <= 2 and words and words[0].isdigit():
        model = next(
            (found for series in _SERIES if (found := _longest_match((series, *words)))), None
        )
    if model is None:
        return None
    return Gpu(
        name=text.strip(), capability=parse_capability(model.capability), category=model.category
    )


def split_name(text: str) -> tuple[str, ...]:
    """Return the words of a GPU name that tell models apart."""
    spaced = _GLUED.sub(lambda found: found.group() + " ", text.lower())
    return tuple(word for word in re.findall(r"[a-z0-9]+", spaced) if word not in _VENDOR)


@functools.cache
def _models() -> tuple[tuple[tuple[str, ...], GpuModel], ...]:
    """Return the models with their words, longest name first."""
    named = [(split_name(row.name), row) for row in tables().gpus]
    return tuple(sorted(named, key=lambda pair: -len(pair[0])))


def _longest_match(words: tuple[str, ...]) -> GpuModel | None:
    for name, model in _models():
        width = len(name)
        if any(words[at : at + width] == name for at in range(len(words) - width + 1)):
            return model
    return None
