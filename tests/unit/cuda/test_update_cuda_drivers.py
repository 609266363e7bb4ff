"""Driver branches follow from toolkits, compatibility packages from the labels of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envgen.cuda.tables import Branch, CompatPackage, Label, Toolkit, tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("update_cuda_drivers")


def toolkit(version: str, driver: str) -> Toolkit:
    return Toolkit(
        version=version, linux_driver=driver, windows_driver="", source="s", verified=True
    )


def label(cuda: str, since: str, allow: dict[str, tuple[str, ...]]) -> Label:
    return Label(cuda=cuda, since=since, allow=allow, source="s", verified=True)


def test_branch_supports_the_newest_cuda_that_came_with_it(script: ModuleType) -> None:
    old = (Branch(branch=580, cuda="13.0", source="by hand", verified=True),)
    toolkits = [toolkit("13.8.0", "650.10"), toolkit("13.9.1", "650.20"), toolkit("14.0.0", "")]
    rows = script.add_branches(old, toolkits)
    assert [(row.branch, row.cuda) for row in rows] == [(580, "13.0"), (650, "13.9")]
    assert rows[0] is old[0]


def test_package_works_on_the_branches_of_the_newest_label(script: ModuleType) -> None:
    branches = [Branch(branch=650, cuda="13.9", source="s", verified=True)]
    labels = [
        label("13.9", "2027-01-01", {"tesla": ("535", "580")}),
        label("13.9", "2027-03-01", {"tesla": ("580",), "quadro": ("580", "595"), "*": ("450+",)}),
        label("14.1", "2027-03-01", {"tesla": ("580",)}),
    ]
    (row,) = script.add_packages((), labels, branches)
    assert (row.cuda, row.driver, row.branches) == ("13.9", 650, (580, 595))


def test_row_that_a_person_checked_stays(script: ModuleType) -> None:
    branches = [Branch(branch=650, cuda="13.9", source="s", verified=True)]
    old = CompatPackage(cuda="13.9", driver=650, branches=(535,), source="guide", verified=True)
    labels = [label("13.9", "2027-03-01", {"tesla": ("580",)})]
    assert script.add_packages((old,), labels, branches) == (old,)


def test_tables_are_complete_by_their_own_rule(script: ModuleType) -> None:
    branches = script.add_branches(tables().branches, tables().toolkits)
    assert branches == tables().branches
    assert script.add_packages(tables().compat, tables().labels, branches) == tables().compat
