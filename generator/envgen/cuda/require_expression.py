"""NVIDIA_REQUIRE_CUDA, read and evaluated as NVIDIA's runtime hook does.

The grammar is that of libnvidia-container's `src/cli/dsl.c`, the code that refuses containers in
legacy mode: alternatives are separated by spaces, the conditions of an alternative by commas, and
a condition is `property operator value` with the properties cuda, driver, arch and brand. It is
evaluated from left to right and stops at the first alternative that holds, so a mistake behind
that point goes unseen; a mistake before it refuses the container. What is not known about the
host counts as fulfilled.
"""

import functools
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from envgen.cuda.version import Version, parse_version

_CONDITION: Final = re.compile(
    r"(?P<property>[^<>=!]+)(?P<operator>[<>=!]+)(?P<value>.+)", re.DOTALL
)
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "!": operator.ne,  # the hook compares only as many characters as are written
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_VERSIONS: Final = frozenset({"cuda", "driver", "arch"})


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the hook knows of the host and one GPU; None for what it does not know."""

    cuda: Version | None = None
    driver: Version | None = None
    arch: Version | None = None
    brand: str | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an expression holds.

    Attributes:
        holds: Whether the container is let through.
        unsatisfied: The first alternative, which the hook names when none holds.
        mistake: The condition that cannot be read, where that is the reason.

    """

    holds: bool
    unsatisfied: str = ""
    mistake: str = ""


class _MistakeError(ValueError):
    """A condition cannot be read."""


@functools.lru_cache(maxsize=4096)
def evaluate(expression: str, facts: HostFacts) -> Evaluation:
    """Return whether a NVIDIA_REQUIRE_* value lets a container start on a host."""
    holds = True
    try:
        for alternative in split_alternatives(expression):
            holds = all(_condition_holds(condition, facts) for condition in alternative)
            if holds:
                break
    except _MistakeError as error:
        return Evaluation(holds=False, mistake=str(error))
    return Evaluation(
        holds=holds, unsatisfied="" if holds else expression.split(" ", maxsplit=1)[0]
    )


def split_alternatives(expression: str) -> Iterator[tuple[str, ...]]:
    """Return the conditions of each alternative; empty words are skipped, as the hook does."""
    for alternative in expression.split(" "):
        conditions = tuple(filter(None, alternative.split(",")))
        if conditions:
            yield conditions


def without_host_properties(expression: str) -> str:
    """Return what the container toolkit itself keeps of a requirement, as it does on Jetson.

    Its own evaluation knows `cuda` and `arch` only; it skips conditions on anything else, and an
    alternative that consists of such (nvidia-container-toolkit, internal/requirements).
    """
    kept = (
        ",".join(part for part in parts if part.lower().startswith(("cuda", "arch")))
        for parts in split_alternatives(expression)
    )
    return " ".join(filter(None, kept))


def _condition_holds(condition: str, facts: HostFacts) -> bool:
    found = _CONDITION.fullmatch(condition)
    compare = _OPERATORS.get(found["operator"]) if found else None
    if found is None or compare is None:
        raise _MistakeError(condition)
    name, value = found["property"].lower(), found["value"]
    if name in _VERSIONS:
        known: Version | None = getattr(facts, name)
        return known is None or compare(known, _version(value, condition))
    if name == "brand" and compare in (operator.eq, operator.ne):
        return facts.brand is None or compare(facts.brand.lower(), value.lower())
    raise _MistakeError(condition)


def _version(value: str, condition: str) -> Version:
    """Return a version as the hook reads it: repeated and trailing dots do not matter."""
    if not re.fullmatch(r"[0-9][0-9.]*", value):
        raise _MistakeError(condition)
    return parse_version(".".join(filter(None, value.split("."))))
