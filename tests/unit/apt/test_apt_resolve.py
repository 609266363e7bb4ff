"""What has to be installed for what is asked, given what the base has."""

from __future__ import annotations

import pytest

from envgen.apt.control import Package, Relation, make_package
from envgen.apt.resolve import Universe, resolve
from envgen.apt.version import sort_key
from envgen.errors import LockError


def package(name: str, version: str = "1", **fields: str) -> Package:
    known = {"package": name, "version": version, "architecture": "amd64", **fields}
    return make_package(known, "amd64")


def universe(*packages: Package) -> Universe:
    by_name: dict[str, list[Package]] = {}
    providers: dict[str, list[str]] = {}
    for one in sorted(packages, key=lambda one: sort_key(one.version), reverse=True):
        by_name.setdefault(one.name, []).append(one)
        for provided in one.provides:
            providers.setdefault(provided.name, []).append(one.name)
    return Universe(
        {name: tuple(rows) for name, rows in by_name.items()},
        {name: tuple(sorted(set(names))) for name, names in providers.items()},
    )


def solve(there: Universe, *wishes: str, base: tuple[Package, ...] = ()) -> list[str]:
    parts = (wish.partition("=") for wish in wishes)
    relations = [Relation(name, equals, version) for name, equals, version in parts]
    found = resolve(relations, there, {one.name: one for one in base})
    return [f"{one.name} {one.version}" for one in found]


def test_needs_are_followed_and_what_the_base_has_is_left_alone() -> None:
    there = universe(
        package("git", depends="libc6 (>= 2), libcurl, git-man"),
        package("git-man"),
        package("libcurl", depends="libc6"),
        package("libc6", "3"),
    )

    assert solve(there, "git", base=(package("libc6", "2"),)) == ["git 1", "git-man 1", "libcurl 1"]


def test_what_the_base_has_already_is_not_locked() -> None:
    assert solve(universe(package("bash", "2")), "bash", base=(package("bash", "1"),)) == []


def test_base_is_upgraded_with_all_that_is_tied_to_it_where_a_need_is_newer() -> None:
    base = (package("libc6", "2"), package("libc-bin", "2", depends="libc6 (= 2)"))
    there = universe(
        package("libc6-dev", "3", depends="libc6 (= 3)"),
        package("libc6", "3"),
        package("libc-bin", "3", depends="libc6 (= 3)"),
    )

    assert solve(there, "libc6-dev", base=base) == ["libc-bin 3", "libc6 3", "libc6-dev 3"]


def test_newest_version_is_taken_and_an_older_one_that_is_asked_for() -> None:
    there = universe(package("tool", "1"), package("tool", "2"))

    assert solve(there, "tool") == ["tool 2"]
    assert solve(there, "tool=1") == ["tool 1"]


def test_older_version_takes_the_needs_that_fit_it() -> None:
    there = universe(
        package("git", "2", depends="git-man (= 2)"),
        package("git-man", "2"),
        package("git", "1", depends="git-man (= 1)"),
        package("git-man", "1"),
    )

    assert solve(there, "git=1") == ["git 1", "git-man 1"]


def test_first_alternative_is_taken_unless_another_is_there() -> None:
    there = universe(package("a", depends="x | y"), package("x"), package("y"))

    assert solve(there, "a") == ["a 1", "x 1"]
    assert solve(there, "a", base=(package("y"),)) == ["a 1"]


def test_provider_stands_in_the_more_important_one_first() -> None:
    there = universe(
        package("a", depends="mail"),
        package("big", provides="mail", priority="extra"),
        package("small", provides="mail", priority="optional"),
    )

    assert solve(there, "a") == ["a 1", "small 1"]


def test_alternative_that_conflicts_is_passed_over() -> None:
    there = universe(
        package("a", depends="x | y"), package("x", conflicts="b"), package("y"), package("b")
    )

    assert solve(there, "b", "a") == ["a 1", "b 1", "y 1"]


def test_package_that_is_broken_by_a_newer_one_is_upgraded() -> None:
    there = universe(package("a", breaks="old (<< 2)"), package("old", "2"))

    assert solve(there, "a", base=(package("old", "1"),)) == ["a 1", "old 2"]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (("gti",), r"there is no OS package gti[\s\S]*did you mean 'git'"),
        (("git=9",), r"there is no git 9 at that moment[\s\S]*the archive has 1"),
        (("broken",), r"broken 1 needs absent \(>= 2\)"),
        (("deep",), "deep for the spec"),
        (("one", "other"), "cannot be in one image"),
        (("bash=0",), "older than what the base has"),
    ],
)
def test_what_cannot_be_is_said_with_who_asked(wishes: tuple[str, ...], said: str) -> None:
    there = universe(
        package("git"),
        package("broken", depends="absent (>= 2)"),
        package("deep", depends="broken"),
        package("one", conflicts="other"),
        package("other"),
        package("bash", "0"),
    )

    with pytest.raises(LockError, match=said):
        solve(there, *wishes, base=(package("bash"),))


def test_result_does_not_depend_on_the_order_of_the_wishes() -> None:
    there = universe(package("a", depends="c"), package("b", depends="c"), package("c"))

    assert solve(there, "a", "b") == solve(there, "b", "a")
