"""The labels are read out of the history of NVIDIA's image repository."""

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


def load() -> ModuleType:
    path = ROOT / "generator" / "bin" / "update_cuda_labels.py"
    spec = importlib.util.spec_from_file_location("update_cuda_labels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["update_cuda_labels"] = module
    spec.loader.exec_module(module)
    return module


script = load()

LOG = """\
commit-day 2023-11-08
@@ -7 +7 @@
-ENV NVIDIA_REQUIRE_CUDA "cuda>=11.4 brand=tesla,driver>=418,driver<419"
+ENV NVIDIA_REQUIRE_CUDA "cuda>=11.4"
commit-day 2022-01-20
@@ -0,0 +7 @@
+ENV NVIDIA_REQUIRE_CUDA "cuda>=11.4 brand=tesla,driver>=418,driver<419 driver>=450"
@@ -0,0 +13 @@
+ENV NVIDIA_REQUIRE_CUDA "cuda>=11.4"
commit-day 2018-05-16
@@ -0,0 +7 @@
+ENV NVIDIA_REQUIRE_CUDA "cuda>=9.2"
"""


def test_editions_are_ordered_by_version_and_day() -> None:
    editions = script.first_seen(script.parse_log(LOG.splitlines()))
    assert [(one.cuda, one.since, one.allow) for one in editions] == [
        ("9.2", "2018-05-16", ()),
        ("11.4", "2022-01-20", (("*", ("450+",)), ("tesla", ("418",)))),
        ("11.4", "2023-11-08", ()),
    ]


def test_clause_that_cannot_be_read_stops_the_refresh() -> None:
    with pytest.raises(ValueError, match="cannot read the clause"):
        script.parse_label("cuda>=11.4 arch>=7.0")


def test_contradicting_clause_is_left_out() -> None:
    clause = "brand=tesla,driver>=440,driver<441,driver>=450,driver<451"
    assert script.parse_label(f"cuda>=11.1 {clause}") == ("11.1", ())


def test_table_can_be_read_back() -> None:
    editions = script.first_seen(script.parse_log(LOG.splitlines()))
    rows = tomllib.loads(script.format_table(editions))["label"]
    assert rows[1]["allow"] == {"*": ["450+"], "tesla": ["418"]}


def test_rows_of_other_sources_survive_a_refresh() -> None:
    own = script.format_row(script.Edition("13.2", "2026-03-01", ()), "by hand", verified=False)
    assert script.other_rows(script.format_table([], [own])) == [own]
