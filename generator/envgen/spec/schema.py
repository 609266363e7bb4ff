"""The JSON Schema and the option reference, both from `spec.model`."""

import json
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from envgen.presets import preset_names
from envgen.spec.forms import LOCKERS, TARGETS
from envgen.spec.model import (
    Defaults,
    Deployments,
    Gpu,
    Image,
    Index,
    Network,
    Policy,
    Project,
    Run,
    Spec,
    Volume,
)
from envgen.spec.parse import strip_annotations

_SECTIONS: Final = (
    ("", Spec, "The file"),
    ("project", Project, "[project]"),
    ("defaults", Defaults, "[defaults]"),
    ("images.NAME", Image, "[images.NAME]"),
    ("images.NAME.gpu", Gpu, "[images.NAME.gpu]"),
    ("images.NAME.run", Run, "[images.NAME.run]"),
    ("images.NAME.run.volumes.NAME", Volume, "[images.NAME.run.volumes.NAME]"),
    ("deployments", Deployments, "[deployments]"),
    ("network", Network, "[network]"),
    ("network.indexes.NAME", Index, "[network.indexes.NAME]"),
    ("policy", Policy, "[policy]"),
)


def make_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an `envgen.toml`."""
    (schema,), components = msgspec.json.schema_components([Spec], ref_template="#/$defs/{name}")
    image = components["Image"]["properties"]
    _name_presets(image["preset"])
    _name_choices(image["locker"], LOCKERS)
    _name_choices(image["targets"]["items"], TARGETS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "envgen.toml",
        **schema,
        "$defs": components,
    }


def _name_choices(field: dict[str, Any], own: tuple[str, ...]) -> None:
    """Let editors complete what is envgen's own; plugins bring other names."""
    field.pop("type")
    field["anyOf"] = [
        {"type": "string", "enum": list(own)},
        {"type": "string", "pattern": "^[a-z][a-z0-9_.-]*$", "description": "a plugin's"},
    ]


def _name_presets(field: dict[str, Any]) -> None:
    """Let editors complete the presets that come with envgen; others have a form of their own."""
    field["anyOf"] = [
        {"type": "string", "enum": list(preset_names())},
        {"type": "string", "pattern": r"^(git\+(https|ssh)://|package:).+#.+$"},
        {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "description": "a plugin's"},
    ]
    del field["default"]


def make_schema_text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


_INTRODUCTION: Final = """\
# The spec

Every key of an `envgen.toml`. In a pyproject.toml the same keys stand under `[tool.envgen]`. Name,
Python and dependencies then come from `[project]`: `requires-python` chooses the newest Python that
it admits, `[tool.envgen.project] python` overrides it, and images may add `groups` and `extras`.

This page is generated: `python -m envgen schema --format markdown`.
"""


def make_reference() -> str:
    """Return the option reference as Markdown."""
    return _INTRODUCTION + "".join(_describe_section(title, table) for _, table, title in _SECTIONS)


def _describe_section(title: str, table: type[msgspec.Struct]) -> str:
    lines = ["", f"## {title}", ""]
    doc = (table.__doc__ or "").splitlines()[0]
    lines += [doc, "", "| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [_describe_field(field) for field in msgspec.structs.fields(table)]
    return "\n".join(lines) + "\n"


def _describe_field(field: msgspec.structs.FieldInfo) -> str:
    bare, metas = strip_annotations(field.type)
    described = next(meta for meta in metas if meta.description)
    text = described.description or ""
    if described.examples:
        text += f" Example: `{_toml(described.examples[0])}`."
    return f"| `{field.encode_name}` | {_describe_type(bare)} | {_default(field)} | {text} |"


def _describe_type(bare: Any) -> str:  # noqa: ANN401 - a type expression
    origin = get_origin(bare)
    if origin is Literal:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in get_args(bare))
    if origin is tuple:
        return "list of " + _describe_type(strip_annotations(get_args(bare)[0])[0])
    if origin is dict:
        return "table of " + _describe_type(strip_annotations(get_args(bare)[1])[0])
    return {str: "string", int: "integer", bool: "boolean"}.get(bare, "table")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT or not field.default:
        return ""
    if isinstance(field.default, msgspec.Struct):
        return ""
    return f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:  # noqa: ANN401 - any value that TOML has
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
