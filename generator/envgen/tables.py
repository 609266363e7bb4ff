"""The data tables of base images, distributions and tools that envgen carries.

They are TOML files under presets/data/, one row per line, and are kept up to date by the scripts
in generator/bin/. Reading and writing are side by side here, so that they agree on the form.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from envgen.errors import EnvgenError
from envgen.resources import PRESETS

BASES_FILE: Final = PRESETS / "data" / "bases.toml"
TOOLS_FILE: Final = PRESETS / "data" / "tools.toml"

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Date = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z")]
_Python = Annotated[str, msgspec.Meta(pattern=r"^(3\.[0-9]+)?\Z")]
_Platform = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?\Z")]


class BaseImage(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A base image with the digest that its tag had at some time.

    Attributes:
        image: The full reference with its tag, `docker.io/library/python:3.13-slim-trixie`.
        digest: What the tag stood for.
        kind: `index` where the digest is known to name an index over all platforms; `unknown`
            where it may be one platform's image.
        python: The CPython in it, `3.13`; empty where there is none to build on.
        distro: The `id` of a row of `distros`.
        date: The day of its build or of its record, where known.
        seen: In how many public repositories the digest was found.
        verified: Whether a registry gave this digest to envgen itself.
        source: Where the digest comes from.

    """

    image: _Text
    digest: _Digest
    kind: Literal["index", "unknown"]
    python: _Python = ""
    distro: _Text
    date: _Date = ""
    seen: Annotated[int, msgspec.Meta(ge=0)]
    verified: bool
    source: _Text

    @property
    def repository(self) -> str:
        """The image without its tag."""
        return self.image.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """The tag alone."""
        return self.image.rpartition(":")[2]


class Distro(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Linux distribution's release. `glibc` decides which wheels may run on it."""

    id: _Text
    name: _Text
    glibc: Annotated[str, msgspec.Meta(pattern=r"^2\.[0-9]+\Z")]
    source: _Text


class ToolArtifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that installs a tool into an image. `size` is in bytes."""

    name: _Text
    version: _Text
    platform: _Platform
    file: _Text
    sha256: _Sha256
    size: _Count
    source: _Text


_Row = TypeVar("_Row", BaseImage, Distro, ToolArtifact)


@cache
def bases() -> tuple[BaseImage, ...]:
    """Return the known base images.

    Raises:
        EnvgenError: The table is damaged.

    """
    return parse_rows(BASES_FILE.read_text(encoding="utf-8"), BASES_FILE.name, "bases", BaseImage)


@cache
def distros() -> tuple[Distro, ...]:
    """Return the known distributions.

    Raises:
        EnvgenError: The table is damaged.

    """
    return parse_rows(BASES_FILE.read_text(encoding="utf-8"), BASES_FILE.name, "distros", Distro)


@cache
def tools() -> tuple[ToolArtifact, ...]:
    """Return the files of the tools that go into images.

    Raises:
        EnvgenError: The table is damaged.

    """
    return parse_rows(
        TOOLS_FILE.read_text(encoding="utf-8"), TOOLS_FILE.name, "tools", ToolArtifact
    )


def find_base(image: str) -> BaseImage | None:
    """Return the row of an image that is named in full, as `str(parse_reference(…))` does."""
    return next((row for row in bases() if row.image == image), None)


def find_tool(name: str, platforms: Iterable[str]) -> tuple[ToolArtifact, ...]:
    """Return a tool's file for each platform that has one, in the order of `platforms`."""
    return tuple(
        row
        for platform in platforms
        for row in tools()
        if row.name == name and row.platform == platform
    )


def parse_rows(text: str, file: str, array: str, row_type: type[_Row]) -> tuple[_Row, ...]:
    """Return the rows of one array of a table.

    Raises:
        EnvgenError: The text is not TOML, or a row is incomplete, mistyped or there twice.

    """
    import tomllib  # noqa: PLC0415 - most commands read no table

    try:
        found = tomllib.loads(text)[array]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise EnvgenError.single(
            f"the table cannot be read: {error}", file=file, key=array
        ) from error
    rows = tuple(_convert(row, file, f"{array}[{i}]", row_type) for i, row in enumerate(found))
    names = [_name(row) for row in rows]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise EnvgenError.single(f"{name} is there twice", file=file, key=f"{array}[{i}]")
    return rows


def format_rows(rows: Iterable[_Row]) -> str:
    """Return the lines of an array, one row each; `parse_rows` reads them back."""
    return "".join(f"  {_format_row(row)},\n" for row in rows)


def replace_rows(text: str, array: str, rows: Iterable[_Row]) -> str:
    """Return a table's text with other rows in one array; comments above the array stay.

    Raises:
        EnvgenError: The text has no such array.

    """
    pattern = rf"^{array} = \[\n.*?^\]$"
    lines = f"{array} = [\n{format_rows(rows)}]"
    replaced, count = re.subn(pattern, lambda _: lines, text, flags=re.MULTILINE | re.DOTALL)
    if count != 1:
        raise EnvgenError.single("the table has no such array", key=array)
    return replaced


def _convert(row: object, file: str, key: str, row_type: type[_Row]) -> _Row:
    try:
        return msgspec.convert(row, row_type)
    except msgspec.ValidationError as error:
        name = next(iter(row.values()), "") if isinstance(row, dict) else row
        raise EnvgenError.single(str(error), file=file, key=f"{key} ({name})") from error


def _name(row: BaseImage | Distro | ToolArtifact) -> str:
    match row:
        case BaseImage():
            return row.image
        case Distro():
            return row.id
        case ToolArtifact():
            return f"{row.name} for {row.platform}"


def _format_row(row: BaseImage | Distro | ToolArtifact) -> str:
    # The strings and numbers of JSON are strings and numbers in TOML, true and false likewise.
    fields = (
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in msgspec.to_builtins(row).items()
    )
    return f"{{ {', '.join(fields)} }}"
