"""Which variables an image gets, and what `explain` says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envgen.errors import EnvgenError
from envgen.plan.determinism import (
    FILE,
    explain_determinism,
    parse_variables,
    plan_determinism,
    variables,
)
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lock.model import Lock
    from envgen.plan.model import Decision
    from envgen.spec.model import Spec

GPU = {"gpu": {"cuda": "12.8"}}


@pytest.fixture
def chosen(make_lock: Callable[[Spec], Lock]) -> Callable[..., dict[str, str]]:
    """Return a function from locked versions and an image's table to its variables."""

    def choose(frameworks: dict[str, str], **image: Any) -> dict[str, str]:
        return plan_determinism(*_image(make_lock, frameworks, image))

    return choose


@pytest.fixture
def explained(make_lock: Callable[[Spec], Lock]) -> Callable[..., dict[str, Decision]]:
    def explain(frameworks: dict[str, str], **image: Any) -> dict[str, Decision]:
        decisions = explain_determinism(*_image(make_lock, frameworks, image))
        return {decision.about: decision for decision in decisions}

    return explain


def _image(
    make_lock: Callable[[Spec], Lock], frameworks: dict[str, str], image: dict[str, Any]
) -> Any:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.12"},
        "images": {"train": image},
    }
    spec = parse_spec(document, file="envgen.toml")
    locked = make_lock(spec).images["train"]
    return spec.images["train"], msgspec.structs.replace(locked, frameworks=frameworks)


@pytest.mark.parametrize(
    ("torch", "value"),
    [
        ("2.0.1", ":4096:8"),
        ("2.9.1", ":4096:8"),
        ("2.9.1+cu128", ":4096:8"),
        ("2.10.0", None),
        ("2.15.0", None),
    ],
)
def test_cublas_workspace_is_fixed_where_torch_asks_for_it(
    chosen: Callable[..., dict[str, str]], torch: str, value: str | None
) -> None:
    assert chosen({"torch": torch}, **GPU).get("CUBLAS_WORKSPACE_CONFIG") == value


def test_variables_of_gpus_are_left_out_without_one(
    chosen: Callable[..., dict[str, str]],
) -> None:
    frameworks = {"torch": "2.9.1", "jax": "0.6.0", "jaxlib": "0.6.0"}
    assert set(chosen(frameworks)) == {"PYTHONHASHSEED", "MKL_CBWR"}


@pytest.mark.parametrize(
    ("jaxlib", "flag"),
    [
        ("0.4.20", "--xla_gpu_deterministic_ops=true"),
        ("0.4.29", "--xla_gpu_deterministic_ops=true"),
        ("0.4.30", "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"),
        ("0.12.0", "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"),
    ],
)
def test_xla_gets_no_flag_that_it_does_not_know(
    chosen: Callable[..., dict[str, str]], jaxlib: str, flag: str
) -> None:
    assert chosen({"jax": jaxlib, "jaxlib": jaxlib}, **GPU)["XLA_FLAGS"] == flag


def test_nccl_is_told_off_the_switch_where_it_knows_it(
    chosen: Callable[..., dict[str, str]],
) -> None:
    assert chosen({"torch": "2.1.0"}, **GPU)["NCCL_NVLS_ENABLE"] == "0"
    assert "NCCL_NVLS_ENABLE" not in chosen({"torch": "2.0.1"}, **GPU)


@pytest.mark.parametrize(
    ("frameworks", "image", "expected"),
    [
        ({"torch": "2.9.1"}, {}, {"MKL_CBWR"}),
        ({"torch": "2.9.1"}, {"platforms": ["linux/arm64"]}, set()),
        ({"torch": "2.9.1"}, {"locker": "conda-lock"}, set()),
        (
            {"numpy": "2.3.4", "mkl": "2024.2"},
            {"locker": "conda-lock"},
            {"MKL_CBWR", "MKL_DYNAMIC"},
        ),
        ({"numpy": "2.3.4"}, {}, set()),
    ],
)
def test_mkl_is_set_where_it_is_what_computes(
    chosen: Callable[..., dict[str, str]],
    frameworks: dict[str, str],
    image: dict[str, Any],
    expected: set[str],
) -> None:
    assert {name for name in chosen(frameworks, **image) if name.startswith("MKL")} == expected


def test_hashes_of_a_server_stay_random(
    chosen: Callable[..., dict[str, str]], explained: Callable[..., dict[str, Decision]]
) -> None:
    assert "PYTHONHASHSEED" not in chosen({}, port=8000)
    assert explained({}, port=8000)["PYTHONHASHSEED"].choice == "left alone"


def test_what_is_left_alone_is_said_with_its_reason(
    explained: Callable[..., dict[str, Decision]],
) -> None:
    decisions = explained({"torch": "2.13.0"}, **GPU)
    assert decisions["CUBLAS_WORKSPACE_CONFIG"].choice == "left alone"
    assert "workspace of its own" in decisions["CUBLAS_WORKSPACE_CONFIG"].reason
    assert decisions["NVIDIA_TF32_OVERRIDE"].choice == "left alone"


def test_every_variable_that_is_set_is_explained_once(
    chosen: Callable[..., dict[str, str]], explained: Callable[..., dict[str, Decision]]
) -> None:
    frameworks = {"torch": "2.9.1", "jax": "0.6.0", "jaxlib": "0.6.0", "tensorflow": "2.19.0"}
    decisions = explained(frameworks, **GPU)
    for name, value in chosen(frameworks, **GPU).items():
        assert decisions[name].choice == value


def test_rows_of_one_variable_and_package_do_not_overlap() -> None:
    seen: dict[tuple[str, str, str], str] = {}
    for row in variables():  # newest first: each ends where the one before it begins
        for kind in row.kinds:
            key = (row.name, row.package, kind)
            assert key not in seen or row.before == seen[key] != ""
            seen[key] = row.since


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('reason = "', 'reson = "'),
        ('value = "0"', "value = 0"),
        ('source = "docs.python.org, PYTHONHASHSEED"', 'source = ""'),
        ("variable = [", "variables = ["),
        ("variable = [", "variable = "),
    ],
)
def test_incomplete_row_is_refused(old: str, new: str) -> None:
    text = FILE.read_text("utf-8")
    assert old in text
    with pytest.raises(EnvgenError, match=r"determinism\.toml"):
        parse_variables(text.replace(old, new, 1))
