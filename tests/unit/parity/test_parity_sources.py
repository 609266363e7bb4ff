"""What people write in other ways is read as the same, and nonsense is an error of its writer."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envgen.errors import UsageError
from envgen.parity.overlay import merge
from envgen.parity.sources import read_source
from envgen.parity.units import read_cpus, read_docker_size, read_quantity

IMAGES = {"serve": "registry.example/team/serve"}
REFERENCE = f"registry.example/team/serve@sha256:{'a' * 64}"


def read_one(document: Any) -> Any:
    (found,) = read_source("x.yaml", yaml.safe_dump(document).encode(), IMAGES)
    return found


@pytest.mark.parametrize(
    ("text", "docker", "kubernetes"),
    [
        ("4g", "4 GiB", "4g"),
        ("4GB", "4 GiB", "4GB"),
        ("4Gi", "4 GiB", "4 GiB"),
        ("4G", "4 GiB", "4 GB"),
        ("1.5g", "1536 MiB", "1.5g"),
        (2000000000, "2 GB", "2 GB"),
        ("512M", "512 MiB", "512 MB"),
        ("plenty", "plenty", "plenty"),
    ],
)
def test_sizes_mean_what_their_platform_says(text: object, docker: str, kubernetes: str) -> None:
    assert (read_docker_size(text), read_quantity(text)) == (docker, kubernetes)


@pytest.mark.parametrize(
    ("text", "cpus"), [("500m", "0.5"), (0.5, "0.5"), ("2", "2"), (2, "2"), ("few", "few")]
)
def test_processors_are_the_same_in_every_notation(text: object, cpus: str) -> None:
    assert read_cpus(text) == cpus


def test_short_and_long_syntax_of_compose_are_the_same() -> None:
    long = {
        "image": REFERENCE,
        "environment": {"A": "1", "B": "$$x", "C": True},
        "volumes": [{"type": "volume", "source": "d", "target": "/data", "read_only": True}],
        "deploy": {"resources": {"limits": {"cpus": "0.5", "memory": "1g"}}},
    }
    short = {
        "image": REFERENCE,
        "environment": ["A=1", "B=$$x", "C=true"],
        "volumes": ["d:/data:ro"],
        "cpus": 0.5,
        "mem_limit": "1024m",
    }

    assert (
        read_one({"services": {"serve": long}}).facts
        == read_one({"services": {"serve": short}}).facts
    )


@pytest.mark.parametrize(
    ("service", "count"),
    [
        ({}, "0"),
        ({"gpus": "all"}, "all"),
        (
            {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}},
            "all",
        ),
        (
            {
                "deploy": {
                    "resources": {
                        "reservations": {
                            "devices": [{"capabilities": ["gpu"], "device_ids": ["0", "3"]}]
                        }
                    }
                }
            },
            "2",
        ),
    ],
)
def test_gpus_of_compose_are_counted(service: dict[str, Any], count: str) -> None:
    found = read_one({"services": {"serve": {"image": REFERENCE, **service}}})

    assert found.facts["gpus"] == {"count": count}


def test_service_under_another_name_is_known_by_its_repository() -> None:
    for reference in (REFERENCE, "registry.example/team/serve:1", "registry.example/team/serve"):
        assert read_one({"services": {"api": {"image": reference}}}).image == "serve"


def test_service_of_another_image_is_left_alone() -> None:
    document = {"services": {"db": {"image": "postgres:17"}, "serve": {"image": REFERENCE}}}

    assert read_one(document).keys["image"] == "services.serve.image"


def test_task_definition_as_the_service_describes_it_is_read() -> None:
    task = {"containerDefinitions": [{"name": "serve", "image": REFERENCE, "cpu": 512}]}

    assert read_one({"taskDefinition": task}).facts["resources"] == {"cpus": "0.5"}


def test_null_of_a_patch_takes_away_and_items_are_found_by_their_key() -> None:
    base = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}], "x": {"y": 1}}
    patch = {
        "env": [{"name": "B", "value": "2"}, {"name": "A", "$patch": "delete"}],
        "x": {"y": None},
    }

    assert merge(base, patch) == {"env": [{"name": "B", "value": "2"}], "x": {}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "services",
                    "serve",
                    "image",
                    "environment",
                    "kind",
                    "apiVersion",
                    "spec",
                    "template",
                    "containers",
                    "containerDefinitions",
                    "Config",
                    "Env",
                    "HostConfig",
                    "Estimator",
                ]
            ),
            inner | st.just(REFERENCE) | st.just("Deployment"),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_nonsense_is_an_error_of_whoever_wrote_it(document: Any) -> None:
    with contextlib.suppress(UsageError):
        read_source("x.json", json.dumps(document).encode(), IMAGES)
