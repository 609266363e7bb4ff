"""Every kind of bad input becomes a problem with file, key path, what, why and fix."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from envgen.errors import Problem, SpecError
from envgen.spec.model import Spec
from envgen.spec.parse import parse_spec


def document(toml: str = "", **image: Any) -> dict[str, Any]:
    """Return a valid document with one image; `toml` replaces whole tables of it."""
    return {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {"serve": image},
        **tomllib.loads(toml),
    }


def parse(given: dict[str, Any]) -> Spec:
    return parse_spec(given, file="envgen.toml")


def problems(given: dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse(given)
    return caught.value.problems


def problem(given: dict[str, Any]) -> Problem:
    (found,) = problems(given)
    assert found.file == "envgen.toml"
    return found


def test_smallest_spec_gets_the_documented_defaults() -> None:
    spec = parse(document())

    assert spec.images["serve"].workdir == "/app"
    assert spec.defaults.determinism == "strict"
    assert spec.defaults.platforms == ("linux/amd64",)


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    given = document(port="8000", comand=["x"], env={"1A": "x", "B": 1})
    given["project"] = {"name": "de mo", "python": 3.13}

    assert [found.key for found in problems(given)] == [
        "project.name",
        "project.python",
        "images.serve.comand",
        "images.serve.port",
        "images.serve.env.1A",
        "images.serve.env.B",
    ]


@pytest.mark.parametrize(
    ("given", "key", "fix"),
    [
        (document("formt = 1"), "formt", "did you mean 'format'?"),
        (document(comand=["x"]), "images.serve.comand", "did you mean 'command'?"),
        (document("[network]\nca_certificates = 'x'"), "network.ca_certificates", "certificates"),
        (document("[defaults]\nzzz = 1"), "defaults.zzz", "known are determinism, platforms"),
    ],
)
def test_unknown_key_suggests_nearest(given: dict[str, Any], key: str, fix: str) -> None:
    found = problem(given)

    assert found.key == key
    assert found.what == "unknown key"
    assert fix in found.fix


@pytest.mark.parametrize(
    ("given", "key", "fix"),
    [
        (document("epoch = '2026.12'"), "epoch", "did you mean '2026.11'?"),
        (document(determinism="stict"), "images.serve.determinism", "did you mean 'strict'?"),
        (document(platforms=["linux/arm"]), "images.serve.platforms[0]", "did you mean"),
        (document(locker="pdm"), "images.serve.locker", "uv"),
    ],
)
def test_unknown_choice_suggests_nearest(given: dict[str, Any], key: str, fix: str) -> None:
    found = problem(given)

    assert found.key == key
    assert fix in found.fix


STRING = "'x'"
NOT_STRINGS = {
    "1": "the number 1",
    "1.5": "the number 1.5",
    "inf": "the number inf",
    "true": "the truth value true",
    "['x']": "a list",
    "{ x = 1 }": "a table",
    "1979-05-27": "the date or time 1979-05-27",
    "07:32:00": "the date or time 07:32:00",
    "1979-05-27T07:32:00Z": "the date or time 1979-05-27 07:32:00+00:00",
}
OTHERS = {STRING: "the string 'x'", **NOT_STRINGS}


@pytest.mark.parametrize("value", NOT_STRINGS)
@pytest.mark.parametrize("key", ["workdir", "determinism", "locker", "base", "preset"])
def test_what_is_not_a_string_is_described(key: str, value: str) -> None:
    found = problem(document(**tomllib.loads(f"{key} = {value}")))

    assert found.key == f"images.serve.{key}"
    assert found.what == f"is {NOT_STRINGS[value]}, not a string"
    assert found.fix


@pytest.mark.parametrize("value", OTHERS.keys() - {"1"})
def test_what_is_not_an_integer_is_described(value: str) -> None:
    found = problem(document(**tomllib.loads(f"port = {value}")))

    assert found.what == f"is {OTHERS[value]}, not an integer"


@pytest.mark.parametrize("value", OTHERS.keys() - {"['x']"})
def test_what_is_not_a_list_is_described(value: str) -> None:
    found = problem(document(**tomllib.loads(f"command = {value}")))

    assert found.what == f"is {OTHERS[value]}, not a list"


@pytest.mark.parametrize("value", OTHERS.keys() - {"{ x = 1 }"})
@pytest.mark.parametrize("key", ["project", "defaults", "images", "network"])
def test_what_is_not_a_table_is_described(key: str, value: str) -> None:
    found = problem(document(f"{key} = {value}"))

    assert found.key == key
    assert found.what == f"is {OTHERS[value]}, not a table"


@pytest.mark.parametrize("value", OTHERS.keys() - {"{ x = 1 }"})
def test_image_that_is_not_a_table_is_described(value: str) -> None:
    found = problem(document(f"images.serve = {value}"))

    assert found.key == "images.serve"
    assert found.what == f"is {OTHERS[value]}, not a table"


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("port", "8000", "write 8000"),
        ("workdir", 1, 'write "1"'),
        ("workdir", True, 'write "true"'),
        ("command", "python -m app", 'write ["python", "-m", "app"]'),
    ],
)
def test_wrong_type_shows_what_would_be_right(key: str, value: Any, fix: str) -> None:
    assert problem(document(**{key: value})).fix == fix


def test_truth_value_is_no_format() -> None:
    assert "not an integer" in problem(document("format = true")).what


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30])
def test_port_out_of_range_names_the_range(port: int) -> None:
    found = problem(document(port=port))

    assert found.what == f"{port} is out of range"
    assert "from 1 to 65535" in found.fix


def test_empty_document_misses_what_is_required() -> None:
    found = problems({})

    assert [entry.key for entry in found] == ["format", "epoch", "project", "images"]
    assert all(entry.what == "is missing" and entry.why for entry in found)


def test_missing_key_says_what_it_is_for() -> None:
    found = problem(document("project.name = 'demo'"))

    assert found.key == "project.python"
    assert "The Python of every image" in found.why


@pytest.mark.parametrize("toml", ["[images]", "[defaults]\nplatforms = []"])
def test_empty_where_one_is_needed_is_refused(toml: str) -> None:
    assert problem(document(toml)).what == "is empty"


def test_item_of_a_list_is_named_by_its_place() -> None:
    found = problems(document(dependencies=["numpy", "no good", 3]))

    assert [entry.key for entry in found] == [
        "images.serve.dependencies[1]",
        "images.serve.dependencies[2]",
    ]


def test_key_path_quotes_what_toml_would_quote() -> None:
    found = problem(document(env={"two\nlines": "x"}))

    assert found.key == r'images.serve.env."two\nlines"'


def test_name_of_an_image_is_checked() -> None:
    found = problem(document("[images.Serve_It]"))

    assert found.key == "images.Serve_It"
    assert "cannot name an image" in found.what


def test_problems_that_are_known_already_are_told_first() -> None:
    known = Problem(what="is known", file="envgen.toml", key="a")

    with pytest.raises(SpecError) as caught:
        parse_spec(document(port=0), file="envgen.toml", problems=[known])

    assert [entry.key for entry in caught.value.problems] == ["a", "images.serve.port"]


def test_key_paths_are_those_of_the_file() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(document(port=0), file="p.toml", locate=lambda key: f"tool.envgen.{key}")

    assert caught.value.problems[0].key == "tool.envgen.images.serve.port"
