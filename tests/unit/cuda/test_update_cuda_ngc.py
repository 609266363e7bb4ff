"""The CUDA of NVIDIA's monthly images is read out of their release notes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from envgen.cuda.tables import NgcRelease

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("update_cuda_ngc")


@pytest.mark.parametrize(
    ("notes", "cuda"),
    [
        ("<p>Release 24.05 is based on <b>NVIDIA CUDA</b> 12.4.1, which requires</p>", "12.4"),
        ("Release 26.03 is based on CUDA 13.2.0.", "13.2"),
        ("Release 18.12 is based on CUDA 10, which requires", "10.0"),
        ("Release 22.05 is based on CUDA® 11.7, which", "11.7"),
        ("<h1>Not found</h1>", ""),
    ],
)
def test_notes_name_the_cuda_they_are_based_on(script: ModuleType, notes: str, cuda: str) -> None:
    assert script.read_cuda(notes) == cuda


def test_months_go_on_over_the_year(script: ModuleType) -> None:
    months = list(script.months_after("26.11", date(2027, 2, 1)))
    assert months == ["26.12", "27.01", "27.02"]
    assert list(script.months_after("27.02", date(2027, 2, 1))) == []


def test_notes_replace_what_could_not_be_checked(script: ModuleType) -> None:
    old = NgcRelease(release="26.03", cuda="13.1", source="memory", verified=False)
    rows = script.merge([old], {"26.03": "13.2", "26.04": "13.2"})
    assert [(row.release, row.cuda, row.verified) for row in rows] == [
        ("26.03", "13.2", True),
        ("26.04", "13.2", True),
    ]
