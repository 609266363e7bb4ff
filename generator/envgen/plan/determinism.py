"""Environment variables that make the same work give the same bits, where the lock honours them."""

import functools
import tomllib
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from envgen.cuda.version import find_version, parse_version
from envgen.errors import EnvgenError
from envgen.lock.model import LockedImage
from envgen.plan.model import Decision
from envgen.platforms import MACHINES
from envgen.resources import PRESETS
from envgen.spec.model import Image

FILE: Final = PRESETS / "data" / "determinism.toml"

TESTED: Final = frozenset({"jax", "numpy", "tensorflow", "torch"})
"""The packages that the self-test has work for; of others only the version matters."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Variable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variable, and the releases of a package that honour it.

    Attributes:
        name: Of the variable.
        value: What it is set to; empty where it is left alone.
        package: The package that reads it; `python` is in every image.
        since: The first release; empty where it is open.
        before: The first release after the last; empty where it is open.
        gpu: Whether it concerns GPUs only.
        kinds: Where the package comes from: `wheel` or `conda`.
        machines: The processors on which the package honours it.
        reason: Why it is set or left alone.
        source: Where that is from.
        verified: Whether it was read or tried.

    """

    name: _Text
    value: str
    package: _Text
    since: str
    before: str
    gpu: bool
    kinds: tuple[str, ...]
    machines: tuple[str, ...]
    reason: _Text
    source: _Text
    verified: bool


def parse_variables(text: str) -> tuple[Variable, ...]:
    """Return the rows of the table.

    Raises:
        EnvgenError: A row is incomplete, or there is none.

    """
    try:
        rows = msgspec.convert(tomllib.loads(text).get("variable", ()), tuple[Variable, ...])
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise EnvgenError.single(str(error), file=FILE.name) from error
    if not rows:
        raise EnvgenError.single("the table has no rows", file=FILE.name)
    return rows


@functools.cache
def variables() -> tuple[Variable, ...]:
    """Return the table that envgen ships, read once."""
    return parse_variables(FILE.read_text("utf-8"))


def plan_determinism(image: Image, locked: LockedImage) -> dict[str, str]:
    """Return the variables of an image whose determinism is strict.

    A health check does not see what an entrypoint exports, so they are the image's own. Hashes stay
    random where the image listens on a port: a server whose hashes are known can be stalled by
    keys that collide (python.org, CVE-2012-1150).
    """
    env = {row.name: row.value for row in _honoured(image, locked) if row.value}
    if image.port:
        env.pop("PYTHONHASHSEED", None)
    return env


def explain_determinism(image: Image, locked: LockedImage) -> tuple[Decision, ...]:
    """Return why each of these variables is set, or is not although something would honour it."""
    chosen = plan_determinism(image, locked)
    reasons: dict[str, Decision] = {}
    for row in _honoured(image, locked):
        if row.value == chosen.get(row.name, ""):
            choice = Decision(about=row.name, choice=row.value or "left alone", reason=row.reason)
            reasons.setdefault(row.name, choice)
    if image.port:
        reasons["PYTHONHASHSEED"] = Decision(
            about="PYTHONHASHSEED",
            choice="left alone",
            reason="a server whose hashes are known can be stalled by keys that collide",
        )
    return tuple(reasons.values())


def _honoured(image: Image, locked: LockedImage) -> Iterator[Variable]:
    """Yield the rows about packages that the image has, in releases that honour them."""
    versions = {"python": "", **locked.frameworks}
    kind = "conda" if image.locker == "conda-lock" else "wheel"
    platforms = {platform for layer in locked.layers for platform in layer.download_bytes}
    machines = {MACHINES[platform] for platform in platforms if platform in MACHINES}
    for row in variables():
        if row.gpu and image.gpu is None:
            continue
        if row.package not in versions or kind not in row.kinds:
            continue
        if machines and machines.isdisjoint(row.machines):
            continue
        if _is_within(versions[row.package], row):
            yield row


def _is_within(version: str, row: Variable) -> bool:
    if not (row.since or row.before):
        return True
    here = find_version(version)  # of 2.13.0+cpu and of 2.13.0rc1 the numbers
    if here is None:
        return False
    since = not row.since or parse_version(row.since) <= here
    return since and (not row.before or here < parse_version(row.before))
