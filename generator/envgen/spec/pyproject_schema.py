"""The JSON Schema of `[tool.envgen]`, as validate-pyproject takes it."""

import json
from typing import Any, Final

from envgen.spec.schema import make_schema

_ID: Final = "https://envgen.example/tool-envgen.schema.json"


def make_table_schema(tool: str = "envgen") -> dict[str, Any]:
    """Validate the table `[tool.envgen]`.

    Name, Python and dependencies may come from `[project]`, so nothing of a project is required.
    The keywords that are used mean the same in draft 7, which validate-pyproject reads.

    Args:
        tool: The name of the table; validate-pyproject hands it over.

    """
    schema = make_schema()
    text = json.dumps(schema["$defs"]).replace("#/$defs/", "#/definitions/")
    tables: dict[str, Any] = json.loads(text)
    spec, project = tables.pop("Spec"), tables["Project"]
    spec["required"] = [key for key in spec["required"] if key != "project"]
    project.pop("required")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": _ID,
        **spec,
        "title": f"[tool.{tool}]",
        "definitions": tables,
    }
