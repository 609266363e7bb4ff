"""The toolkits of architectures are read out of Spack's recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envgen.cuda.tables import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

RECIPE = """\
    depends_on("cuda@8.0:12.9", when="cuda_arch=61")
    depends_on("cuda@10.0:", when="cuda_arch=75")
    depends_on("cuda@12.9:", when="cuda_arch=103a")
    depends_on("cuda@14.0:", when="cuda_arch=130")
"""


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("update_cuda_architectures")


def test_rules_name_first_and_last_toolkit(script: ModuleType) -> None:
    assert script.parse_recipe(RECIPE) == {
        "6.1": ("8.0", "12.9"),
        "7.5": ("10.0", ""),
        "13.0": ("14.0", ""),
    }


def test_new_architecture_gets_a_row_that_says_what_was_not_read(script: ModuleType) -> None:
    rows, contradictions = script.merge(tables().architectures, script.parse_recipe(RECIPE))
    assert contradictions == []
    assert rows[:-1] == tables().architectures
    assert (rows[-1].capability, rows[-1].cuda_first, rows[-1].verified) == ("13.0", "14.0", False)


def test_last_toolkit_is_filled_in_once_it_is_known(script: ModuleType) -> None:
    rows, _ = script.merge(tables().architectures, {"7.5": ("10.0", "14.9")})
    assert {row.capability: row.cuda_last for row in rows}["7.5"] == "14.9"


def test_other_first_toolkit_is_a_contradiction(script: ModuleType) -> None:
    _, contradictions = script.merge(tables().architectures, {"7.5": ("11.0", "")})
    assert contradictions == ["7.5: first toolkit 11.0, not 10.0"]
