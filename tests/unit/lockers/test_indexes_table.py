"""Which packages come from which index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envgen.lockers.indexes import (
    choose_indexes,
    list_logins,
    normalize,
    requirement_name,
    tables,
    unknown_release,
)
from envgen.spec.model import Gpu, Image, Index, Network

CU128 = Image(gpu=Gpu(cuda="12.8"))
ACME = Index(url="https://acme.example/simple", packages=("Acme_Models", "torch"))


def test_packages_with_a_build_for_each_cuda_come_from_its_folder() -> None:
    (index,) = choose_indexes(CU128, Network(), ["torch>=2", "TorchVision[x]; a", "numpy"])

    assert index.name == "pytorch-cu128"
    assert index.url == "https://download.pytorch.org/whl/cu128"
    assert index.packages == ("torch", "torchvision")


@pytest.mark.parametrize(
    "image",
    [Image(), Image(gpu=Gpu()), Image(gpu=Gpu(cuda="12.8"), locker="conda-lock")],
    ids=["no gpu", "auto", "conda chooses itself"],
)
def test_nothing_is_asked_of_an_index_unless_the_spec_asks_for_builds(image: Image) -> None:
    assert choose_indexes(image, Network(), ["torch"]) == ()


def test_image_that_needs_nothing_of_an_index_has_none() -> None:
    assert choose_indexes(CU128, Network(), ["numpy"]) == ()


def test_builds_for_cpus_are_only_asked_for_where_there_are_some() -> None:
    (index,) = choose_indexes(Image(cpu_only=True), Network(), ["torch", "xformers"])

    assert (index.name, index.packages) == ("pytorch-cpu", ("torch",))


def test_mirror_takes_the_place_of_the_known_address() -> None:
    network = Network(indexes={"pytorch": Index(url="https://mirror.example/whl/")})

    (index,) = choose_indexes(CU128, network, ["torch"])

    assert index.url == "https://mirror.example/whl/cu128"


def test_index_of_the_spec_wins_over_the_known_one() -> None:
    network = Network(indexes={"acme": ACME})

    found = choose_indexes(CU128, network, ["torch", "torchvision", "acme-models"])

    assert {index.name: index.packages for index in found} == {
        "pytorch-cu128": ("torchvision",),
        "acme": ("acme-models", "torch"),
    }


def test_logins_are_named_after_the_index_of_the_spec() -> None:
    (index,) = choose_indexes(CU128, Network(), ["torch"])

    assert list_logins("https://packages.example/simple", [index]) == (
        (
            "https://packages.example/simple",
            ("ENVGEN_INDEX_USERNAME", "ENVGEN_INDEX_PASSWORD"),
        ),
        (index.url, ("ENVGEN_INDEX_PYTORCH_USERNAME", "ENVGEN_INDEX_PYTORCH_PASSWORD")),
    )


def test_known_releases_are_told_for_an_unknown_one() -> None:
    assert unknown_release("12.8") == ()
    assert "12.8" in unknown_release("12.7")


def test_every_package_of_the_table_is_on_an_index_of_it() -> None:
    assert {row.index for row in tables().packages} <= {row.name for row in tables().indexes}
    assert [row.name for row in tables().packages] == sorted(
        {normalize(row.name) for row in tables().packages}
    )


names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", fullmatch=True)


@given(
    names, st.sampled_from(["", ">=1", " >= 1", "[a,b]~=2.0", " ; os_name == 'x'", "@ git+x://y"])
)
def test_name_of_a_requirement_is_that_of_packaging(name: str, rest: str) -> None:
    text = f"{name}{' ' if rest.startswith('@') else ''}{rest}"

    assert requirement_name(text) == canonicalize_name(Requirement(text).name)
