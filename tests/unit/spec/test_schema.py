"""The JSON Schema and the reference are what the declaration gives, and specs fit them."""

import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from envgen import presets
from envgen.spec import model, schema
from envgen.spec.load import load_spec
from envgen.spec.model import Image
from envgen.spec.parse import _Reader, parse_table, strip_annotations

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "generator" / "envgen"
EXAMPLES = sorted((ROOT / "examples").glob("*/envgen.toml"))
PRESETS = sorted((ROOT / "presets" / "environments").glob("*.toml"))


def validate(document: Any, name: str = "") -> None:
    whole = schema.make_schema()
    target = whole | {"$ref": f"#/$defs/{name}"} if name else whole
    jsonschema.Draft202012Validator(target).validate(document)


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_committed_schema_is_generated() -> None:
    """`python -m envgen schema > generator/envgen/envgen.schema.json`"""
    committed = (PACKAGE / "envgen.schema.json").read_text(encoding="utf-8")

    assert committed == schema.make_schema_text()


def test_committed_reference_is_generated() -> None:
    """`python -m envgen schema --format markdown > docs/spec.md`"""
    committed = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")

    assert committed == schema.make_reference()


def test_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.make_schema())


def test_there_are_examples_and_presets() -> None:
    assert EXAMPLES
    assert PRESETS


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_example_fits_schema_and_parser(path: Path) -> None:
    validate(read(path))

    assert load_spec(path.parent).file == "envgen.toml"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_preset_fits_schema_and_parser(path: Path) -> None:
    document = read(path)

    assert document.keys() == {"description", "image"}
    validate(document["image"], "Image")
    parse_table(document["image"], Image, file=path.name)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_preset_is_known_by_its_name(path: Path) -> None:
    assert path.stem in presets.preset_names()


@pytest.mark.parametrize(
    "wrong",
    [
        {"formt": 1},
        {"format": 2},
        {"format": "1"},
        {"images": {}},
        {"images": {"a": {"port": 0}}},
        {"images": {"a": {"command": "x"}}},
        {"defaults": {"determinism": "strictest"}},
    ],
)
def test_schema_refuses_what_the_parser_refuses(wrong: dict[str, Any]) -> None:
    good = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "a", "python": "3.13"},
        "images": {"a": {}},
    }
    validate(good)

    with pytest.raises(jsonschema.ValidationError):
        validate(good | wrong)


def test_every_key_of_the_schema_is_described() -> None:
    for name, table in schema.make_schema()["$defs"].items():
        for key, declared in table["properties"].items():
            assert declared.get("description"), f"{name}.{key}"


TABLES = [
    value
    for value in vars(model).values()
    if isinstance(value, type)
    and issubclass(value, msgspec.Struct)
    and not value.__name__.startswith("_")
]
FIELDS = [
    pytest.param(field, id=f"{table.__name__}.{field.encode_name}")
    for table in TABLES
    for field in msgspec.structs.fields(table)
]


def test_every_table_is_in_the_reference() -> None:
    assert schema.make_reference().count("\n## ") == len(TABLES)


@pytest.mark.parametrize("field", FIELDS)
def test_every_key_is_in_the_reference(field: msgspec.structs.FieldInfo) -> None:
    assert f"| `{field.encode_name}` |" in schema.make_reference()


@pytest.mark.parametrize("field", FIELDS)
def test_examples_pass_the_parser(field: msgspec.structs.FieldInfo) -> None:
    _, metas = strip_annotations(field.type)
    reader = _Reader("envgen.toml", str, ())

    for example in (example for meta in metas for example in meta.examples or ()):
        reader.read(example, field.type, field.encode_name)

    assert reader.problems == []
