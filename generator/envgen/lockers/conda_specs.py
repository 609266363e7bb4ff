"""MatchSpecs as a spec may write them: `name`, `name=1.2`, `name >=1,<2`, `name 1.2.* build`.

Both conda's parser and py-rattler's take nearly any text for a version, so what is meant is checked
here. Their other spelling, `name[version="…"]`, says nothing that these do not.
"""

import functools
import re
from typing import Final, NamedTuple

import msgspec

from envgen.resources import PRESETS

_NAME: Final = r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?"
_VERSION: Final = r"[0-9][0-9A-Za-z_.!+]*(?:\.?\*)?"
_BOUND: Final = rf"(?:>=|<=|==|!=|~=|>|<)?{_VERSION}"
_RANGE: Final = rf"(?:\*|{_BOUND}(?:[,|]{_BOUND})*)"
_BUILD: Final = r"[0-9A-Za-z_.+*]+"
_CHANNEL: Final = r"[A-Za-z0-9_./-]+"
_SPEC: Final = re.compile(
    rf"(?:(?P<channel>{_CHANNEL})::)?(?P<name>{_NAME})"
    rf"(?:=(?P<fuzzy>{_VERSION})(?:=(?P<exact_build>{_BUILD}))?"
    rf"|==(?P<exact>{_VERSION})(?:=(?P<equal_build>{_BUILD}))?"
    rf"|[ ]?(?P<range>{_RANGE})(?:[ ](?P<build>{_BUILD}))?)?"
)


class CondaSpec(NamedTuple):
    """A MatchSpec taken apart; `version` and `build` are empty where it has none."""

    channel: str
    name: str
    version: str
    build: str

    def __str__(self) -> str:
        channel = f"{self.channel}::" if self.channel else ""
        version = self.version or ("*" if self.build else "")
        return " ".join(part for part in (channel + self.name, version, self.build) if part)


def parse_spec(text: str) -> CondaSpec | None:
    """Return the parts of a MatchSpec; None where it is not one that envgen reads."""
    found = _SPEC.fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict(default="")
    version = parts["range"]
    if parts["exact"]:
        version = f"=={parts['exact']}"
    elif parts["fuzzy"]:
        # `=1.2` is `1.2.*`; together with a build it is the very version 1.2.
        exact = parts["exact_build"] or parts["fuzzy"].endswith("*")
        version = parts["fuzzy"] if exact else f"{parts['fuzzy']}.*"
    build = parts["exact_build"] or parts["equal_build"] or parts["build"]
    return CondaSpec(parts["channel"], parts["name"], version, build)


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of conda_variants.toml: a package, and the pattern of its builds with CUDA."""

    package: str
    cuda: str
    source: str


@functools.cache
def cuda_builds() -> dict[str, str]:
    """Return the pattern of the builds with CUDA, by package."""
    import tomllib  # noqa: PLC0415 - only images with CUDA need the table

    file = PRESETS / "data" / "conda_variants.toml"
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["variants"]
    return {row.package: row.cuda for row in msgspec.convert(rows, list[Variant])}


def pin_cuda_build(text: str) -> str:
    """Return a MatchSpec that no build without CUDA matches, if its package has both kinds."""
    spec = parse_spec(text)
    if spec is None or spec.build or spec.name not in cuda_builds():
        return text
    return str(spec._replace(build=cuda_builds()[spec.name]))


def is_cpu_build(build: str) -> bool:
    """Return whether a build string says that it is the one without CUDA, as `cpu_py312h1_0`."""
    return bool(re.search(r"(?:^|_)cpu(?:_|$)", build))
