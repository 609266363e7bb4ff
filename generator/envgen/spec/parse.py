"""From a TOML document to a `Spec`, with every fault of the document found in one pass."""

import functools
import json
import re
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from envgen.errors import Problem, SpecError
from envgen.spec.forms import FORMS, Fault
from envgen.spec.model import Spec
from envgen.spec.suggest import suggest

_BAD: Final = object()
"""Stands for a value that is already reported, so that nothing else complains about it."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")

_T = TypeVar("_T", bound=msgspec.Struct)


def parse_spec(
    document: dict[str, Any],
    *,
    file: str,
    locate: Callable[[str], str] = str,
    problems: Iterable[Problem] = (),
) -> Spec:
    """Return the document as a `Spec`.

    Args:
        document: What tomllib read.
        file: The name that messages give the file.
        locate: Returns the key path in the file for a key path of the spec.
        problems: What is known to be wrong already.

    Raises:
        SpecError: With `problems` and all others of the document, in its order.

    """
    return parse_table(document, Spec, file=file, locate=locate, problems=problems)


def parse_table(
    document: dict[str, Any],
    table: type[_T],
    *,
    file: str,
    locate: Callable[[str], str] = str,
    problems: Iterable[Problem] = (),
) -> _T:
    """Return the document as a `table`, as `parse_spec` does for a whole spec."""
    reader = _Reader(file, locate, problems)
    spec = reader.read_table(document, table, "")
    if reader.problems:
        raise SpecError(*reader.problems)
    assert isinstance(spec, table)  # noqa: S101 - _BAD always comes with a problem
    return spec


@functools.cache
def _fields(table: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(table)


class _Reader:
    """Walks a document along the declared types and gathers what is wrong."""

    def __init__(
        self, file: str, locate: Callable[[str], str], problems: Iterable[Problem]
    ) -> None:
        self.file = file
        self.locate = locate
        self.problems = list(problems)

    def report(self, key: str, fault: Fault) -> object:
        self.problems.append(
            Problem(
                what=fault.what,
                file=self.file,
                key=self.locate(key) if key else "",
                why=fault.why,
                fix=fault.fix,
            )
        )
        return _BAD

    def read(self, value: Any, declared: Any, key: str) -> Any:  # noqa: ANN401 - TOML is untyped
        bare, metas = strip_annotations(declared)
        result = self._read_bare(value, bare, key)
        if result is _BAD:
            return _BAD
        for meta in metas:
            fault = _check(result, meta)
            if fault:
                return self.report(key, fault)
        return result

    def _read_bare(self, value: Any, bare: Any, key: str) -> Any:  # noqa: ANN401
        origin = get_origin(bare)
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            return self.read_table(value, bare, key)
        if origin is tuple:
            return self._read_list(value, get_args(bare)[0], key)
        if origin is dict:
            return self._read_mapping(value, *get_args(bare), key=key)
        if origin is Literal:
            return self._read_choice(value, get_args(bare), key)
        # bool is an int in Python, not in TOML
        if type(value) is not bare:
            return self.report(key, _wrong_type(value, _SCALARS[bare]))
        return value

    def read_table(self, value: Any, table: type[msgspec.Struct], key: str) -> Any:  # noqa: ANN401
        if not isinstance(value, dict):
            return self.report(key, _wrong_type(value, "a table"))
        fields = {field.encode_name: field for field in _fields(table)}
        for name in value:
            if name not in fields:
                self.report(_join(key, name), Fault("unknown key", fix=suggest(name, fields)))
        found = {
            field.name: self.read(value[name], field.type, _join(key, name))
            for name, field in fields.items()
            if name in value
        }
        for name, field in fields.items():
            if field.required and name not in value:
                found[field.name] = self.report(_join(key, name), _missing(field))
        if any(item is _BAD for item in found.values()):
            return _BAD
        return table(**found)

    def _read_list(self, value: Any, item: Any, key: str) -> Any:  # noqa: ANN401
        if not isinstance(value, list):
            return self.report(key, _wrong_type(value, "a list"))
        items = [self.read(entry, item, f"{key}[{n}]") for n, entry in enumerate(value)]
        return _BAD if any(entry is _BAD for entry in items) else tuple(items)

    def _read_mapping(self, value: Any, name: Any, item: Any, *, key: str) -> Any:  # noqa: ANN401
        if not isinstance(value, dict):
            return self.report(key, _wrong_type(value, "a table"))
        entries = {
            self.read(word, name, _join(key, word)): self.read(entry, item, _join(key, word))
            for word, entry in value.items()
        }
        bad = _BAD in entries or any(entry is _BAD for entry in entries.values())
        return _BAD if bad else entries

    def _read_choice(self, value: Any, choices: Iterable[Any], key: str) -> Any:  # noqa: ANN401
        if value in choices:
            return value
        words = [str(choice) for choice in choices]
        if not isinstance(value, str):
            fault = _wrong_type(value, "a string")
            return self.report(key, fault._replace(fix=suggest("", words)))
        return self.report(key, Fault(f"{value!r} is not a choice", fix=suggest(value, words)))


_SCALARS: Final[dict[Any, str]] = {str: "a string", int: "an integer", bool: "true or false"}


def strip_annotations(declared: Any) -> tuple[Any, tuple[msgspec.Meta, ...]]:  # noqa: ANN401
    """Return a declared type without `Annotated` and `| None`, and all metadata on the way."""
    metas: tuple[msgspec.Meta, ...] = ()
    while True:
        origin = get_origin(declared)
        if origin is Annotated:
            declared, *found = get_args(declared)
            metas += tuple(found)
        elif origin in {Union, types.UnionType}:
            # TOML has no null: an optional key is one that may be absent.
            (declared,) = (arg for arg in get_args(declared) if arg is not types.NoneType)
        else:
            return declared, metas


def _check(value: Any, meta: msgspec.Meta) -> Fault | None:  # noqa: ANN401
    form = (meta.extra or {}).get("form")
    if form:
        return FORMS[form](value)
    if meta.ge is not None and not meta.ge <= value <= meta.le:
        allowed = str(meta.ge) if meta.ge == meta.le else f"from {meta.ge} to {meta.le}"
        return Fault(f"{value} is out of range", fix=f"write an integer, {allowed}")
    if meta.min_length is not None and len(value) < meta.min_length:
        return Fault("is empty", fix="at least one is needed")
    return None


def _missing(field: msgspec.structs.FieldInfo) -> Fault:
    _, metas = strip_annotations(field.type)
    described = next((meta for meta in metas if meta.description), None)
    return Fault("is missing", why=(described and described.description) or "")


def _wrong_type(value: Any, expected: str) -> Fault:  # noqa: ANN401
    match expected, value:
        case "a string", int() | float():
            fix = f'write "{str(value).lower() if isinstance(value, bool) else value}"'
        case "an integer", str() if value.isdecimal() and len(value) < 20:
            fix = f"write {int(value)}"
        case "a list", str():
            words = ", ".join(json.dumps(word, ensure_ascii=False) for word in value.split())
            fix = f"write [{words}]"
        case _:
            fix = f"write {expected}"
    return Fault(f"is {_describe(value)}, not {expected}", fix=fix)


def _describe(value: Any) -> str:  # noqa: ANN401
    match value:
        case bool():
            return f"the truth value {str(value).lower()}"
        case str():
            return f"the string {value!r}"
        case int() | float():
            return f"the number {value}"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return f"the date or time {value}"


def _join(key: str, name: str) -> str:
    if not _BARE_KEY.fullmatch(name):
        name = json.dumps(name, ensure_ascii=False)
    return f"{key}.{name}" if key else name
