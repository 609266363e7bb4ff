"""Sizes and processors as people and platforms write them, in one form."""

import re
from typing import Final

_BINARY: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_QUANTITY: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{letter}i": 2**power for letter, power in (("K", 10), ("M", 20), ("G", 30), ("T", 40))
}


def write_bytes(count: int) -> str:
    """Return a size for people."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("GB", 10**9), ("MB", 10**6)):
        if count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} bytes"


def write_cpus(thousandths: int) -> str:
    return f"{thousandths / 1000:g}"


def read_docker_size(text: object) -> str:
    """Return a size as Docker reads it: `4g` and `4GB` are 4 GiB; what it is not stays as it is."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)i?b?", str(text).lower())
    return write_bytes(int(float(found[1]) * _BINARY[found[2]])) if found else str(text)


def read_quantity(text: object) -> str:
    """Return a size as Kubernetes reads it; what is none stays as it is."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(|k|[MGT]|[KMGT]i)", str(text))
    return write_bytes(int(float(found[1]) * _QUANTITY[found[2]])) if found else str(text)


def read_cpus(text: object) -> str:
    """Return processors: `500m`, `0.5` and 0.5 are the same; what is none stays as it is."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(m?)", str(text))
    if not found:
        return str(text)
    return write_cpus(round(float(found[1]) * (1 if found[2] else 1000)))
