"""Agreement: which images move, to which version, and what is said when they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from envgen.errors import LockError
from envgen.lock.agreement import find_disagreements, hold, list_versions
from envgen.lock.packages import LockedPackage

if TYPE_CHECKING:
    from collections.abc import Mapping


class Result(msgspec.Struct, frozen=True, kw_only=True):
    packages: tuple[LockedPackage, ...]


def lock(**versions: str) -> Result:
    return Result(
        packages=tuple(
            LockedPackage(name=name.replace("_", "-"), version=version)
            for name, version in versions.items()
        )
    )


class Locker:
    """Locks images again: each has what it allows, and takes what it is given if it can."""

    def __init__(self, **allowed: dict[str, set[str]]) -> None:
        self.allowed = allowed
        self.asked: list[dict[str, tuple[str, ...]]] = []

    def relock(self, constraints: Mapping[str, tuple[str, ...]]) -> dict[str, Result]:
        self.asked.append(dict(constraints))
        return {image: self._lock(image, needed) for image, needed in constraints.items()}

    def _lock(self, image: str, needed: tuple[str, ...]) -> Result:
        wanted = {Requirement(text).name: Requirement(text).specifier for text in needed}
        found = {}
        for name, versions in self.allowed[image].items():
            fitting = set(wanted.get(name, SpecifierSet()).filter(versions))
            if not fitting:
                raise LockError.single("its dependencies cannot be met together", key=image)
            found[name] = max(fitting)
        return lock(**found)


def refuse(_: Mapping[str, tuple[str, ...]]) -> dict[str, Result]:
    pytest.fail("no image had to be locked again")


def versions_of(results: Mapping[str, Result]) -> dict[str, dict[str, str]]:
    return {
        image: {package.name: package.version for package in result.packages}
        for image, result in results.items()
    }


def test_images_that_agree_are_left_alone() -> None:
    results = {"train": lock(numpy="2.1.0"), "serve": lock(numpy="2.1.0")}
    assert hold(["numpy"], results, {}, refuse) == results


def test_packages_that_are_not_named_may_differ() -> None:
    results = {"train": lock(numpy="2.1.0"), "serve": lock(numpy="2.2.0")}
    assert hold(["torch"], results, {}, refuse) == results


def test_the_newer_image_follows_the_older_one() -> None:
    results = {"train": lock(numpy="2.1.0"), "serve": lock(numpy="2.2.0")}
    locker = Locker(serve={"numpy": {"2.1.0", "2.2.0"}})
    settled = hold(["numpy"], results, {}, locker.relock)
    assert versions_of(settled) == {"train": {"numpy": "2.1.0"}, "serve": {"numpy": "2.1.0"}}
    assert locker.asked == [{"serve": ("numpy<=2.1.0",)}]


def test_the_older_image_follows_where_the_newer_cannot() -> None:
    results = {"train": lock(numpy="2.1.0"), "serve": lock(numpy="2.2.0")}
    locker = Locker(train={"numpy": {"2.1.0", "2.2.0"}}, serve={"numpy": {"2.2.0"}})
    settled = hold(["numpy"], results, {}, locker.relock)
    assert versions_of(settled)["train"] == {"numpy": "2.2.0"}


def test_a_version_that_neither_image_took_first_is_found() -> None:
    results = {"train": lock(numpy="2.1.0"), "serve": lock(numpy="2.2.0")}
    allowed = {"train": {"numpy": {"2.0.0", "2.1.0"}}, "serve": {"numpy": {"2.0.0", "2.2.0"}}}
    settled = hold(["numpy"], results, {}, Locker(**allowed).relock)
    assert versions_of(settled) == {name: {"numpy": "2.0.0"} for name in allowed}


def test_an_image_that_is_not_being_locked_decides() -> None:
    results = {"serve": lock(numpy="2.1.0")}
    locker = Locker(serve={"numpy": {"2.1.0", "2.2.0"}})
    fixed = {"train": list_versions([("numpy", "2.2.0")])}
    settled = hold(["numpy"], results, fixed, locker.relock)
    assert versions_of(settled) == {"serve": {"numpy": "2.2.0"}}


def test_an_image_that_cannot_follow_one_that_stays_is_told_to_lock_both() -> None:
    fixed = {"train": list_versions([("numpy", "2.2.0")])}
    locker = Locker(serve={"numpy": {"2.1.0"}})
    with pytest.raises(LockError) as caught:
        hold(["numpy"], {"serve": lock(numpy="2.1.0")}, fixed, locker.relock)
    assert caught.value.problems[0].fix.startswith("lock all images together")
    assert len(locker.asked) == 1, "a second way would ask for the same"


def test_two_images_that_are_not_being_locked_cannot_be_brought_together() -> None:
    fixed = {
        "train": list_versions([("numpy", "2.2.0")]),
        "eval": list_versions([("numpy", "2.1.0")]),
    }
    with pytest.raises(LockError, match=r"2\.2\.0 in train, 2\.1\.0 in eval") as caught:
        hold(["numpy"], {"serve": lock(rich="1")}, fixed, refuse)
    assert caught.value.problems[0].fix == "lock all: `envgen lock`"


def test_disagreement_names_both_images_versions_and_the_lockers_reason() -> None:
    results = {"train": lock(numpy="1.26.4"), "serve": lock(numpy="2.2.0")}
    locker = Locker(train={"numpy": {"1.26.4"}}, serve={"numpy": {"2.2.0"}})
    with pytest.raises(LockError) as caught:
        hold(["numpy"], results, {}, locker.relock)
    first, second = caught.value.problems
    assert first.what.startswith("numpy is 1.26.4 in train, 2.2.0 in serve")
    assert first.key == "project.agree"
    assert second.what == "its dependencies cannot be met together"


def test_a_star_holds_what_is_shared_and_nothing_else() -> None:
    results = {"train": lock(numpy="2.1.0", rich="13"), "serve": lock(numpy="2.2.0", click="8")}
    locker = Locker(serve={"numpy": {"2.1.0", "2.2.0"}, "click": {"8"}})
    settled = hold(["*"], results, {}, locker.relock)
    assert versions_of(settled)["serve"] == {"numpy": "2.1.0", "click": "8"}


def test_a_package_that_moves_with_another_is_held_in_a_second_round() -> None:
    moved = iter([lock(torch="2.5", triton="3.1"), lock(torch="2.5", triton="3.0")])

    def relock(constraints: Mapping[str, tuple[str, ...]]) -> dict[str, Result]:
        asked.append(constraints["serve"])
        return {"serve": next(moved)}

    asked: list[tuple[str, ...]] = []
    results = {"train": lock(torch="2.5", triton="3.0"), "serve": lock(torch="2.6", triton="3.0")}
    hold(["*"], results, {}, relock)
    assert asked == [("torch<=2.5",), ("torch<=2.5", "triton<=3.0")]


def test_builds_of_one_version_agree() -> None:
    results = {"train": lock(torch="2.9.0+cu128"), "serve": lock(torch="2.9.0+cpu")}
    assert hold(["torch"], results, {}, refuse) == results


def test_names_are_compared_normalised() -> None:
    images = {"a": list_versions([("my-package", "1")]), "b": list_versions([("my-package", "2")])}
    assert [found.package for found in find_disagreements(["My_Package"], images)] == ["my-package"]


def test_a_locker_that_does_not_keep_to_the_version_is_told_apart() -> None:
    results = {"train": lock(numpy="2.1.0"), "serve": lock(numpy="2.2.0")}
    with pytest.raises(LockError, match="did not keep to the version"):
        hold(["numpy"], results, {}, lambda _: {"serve": lock(numpy="2.2.0")})


def test_versions_that_pep_440_does_not_know_do_not_break_the_comparison() -> None:
    results = {"train": lock(openssl="1.1.1w"), "serve": lock(openssl="3.0")}
    locker = Locker(train={"openssl": {"1.1.1w", "3.0"}})
    settled = hold(["openssl"], results, {}, locker.relock)
    assert versions_of(settled)["train"] == {"openssl": "3.0"}


_VERSIONS = st.sampled_from(["1.0", "1.1", "2.0"])


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.dictionaries(st.sampled_from(["x", "y"]), st.sets(_VERSIONS, min_size=1), min_size=1),
        min_size=1,
    )
)
def test_whatever_is_returned_agrees(allowed: dict[str, dict[str, set[str]]]) -> None:
    locker = Locker(**allowed)
    results = locker.relock(dict.fromkeys(allowed, ()))
    try:
        settled = hold(["*"], results, {}, locker.relock)
    except LockError:
        reject()
    held = versions_of(settled)
    images = {image: list_versions(versions.items()) for image, versions in held.items()}
    assert find_disagreements(["*"], images) == ()


@given(st.lists(st.sets(_VERSIONS, min_size=1), min_size=2, max_size=4))
def test_the_newest_version_that_all_can_have_is_found(allowed: list[set[str]]) -> None:
    locker = Locker(**{f"image-{n}": {"numpy": versions} for n, versions in enumerate(allowed)})
    results = locker.relock(dict.fromkeys(locker.allowed, ()))
    common = set.intersection(*allowed)
    if not common:
        with pytest.raises(LockError):
            hold(["numpy"], results, {}, locker.relock)
        return
    held = versions_of(hold(["numpy"], results, {}, locker.relock))
    assert held == {name: {"numpy": max(common)} for name in locker.allowed}


@given(st.permutations(["train", "serve", "eval"]))
def test_the_order_of_the_images_decides_nothing(order: list[str]) -> None:
    allowed = {
        "train": {"numpy": {"2.0", "2.1"}},
        "serve": {"numpy": {"2.0", "2.1", "2.2"}},
        "eval": {"numpy": {"2.0", "2.1", "2.2"}},
    }
    locker = Locker(**allowed)
    results = locker.relock(dict.fromkeys(order, ()))
    held = versions_of(hold(["*"], results, {}, locker.relock))
    assert held == {name: {"numpy": "2.1"} for name in order}
