"""Hosts come from flags, a fleet file and Kubernetes labels."""

import json

import pytest

from envgen.cuda.fleet import host_from_flags, parse_fleet
from envgen.cuda.kubernetes import parse_nodes, read_labels
from envgen.errors import SpecError, UsageError

FLEET = """
[pools.training]
driver = "535.129.03"
gpus = ["A100", "T4"]
injection = "cdi"
toolkit = "1.17.8"

[pools.desk]
driver = "570"
gpus = ["rtx4090"]
disable-require = true
"""


def test_flags_make_a_host() -> None:
    host = host_from_flags("535.129.03", ["A100", "4090"])
    assert str(host.driver) == "535.129.03"
    assert [gpu.capability for gpu in host.gpus] == [(8, 0), (8, 9)]


def test_flags_that_mean_nothing_are_all_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        host_from_flags("latest", ["A1000000", "A100"])
    assert [problem.key for problem in caught.value.problems] == ["--driver", "--gpu"]


def test_near_miss_is_suggested() -> None:
    with pytest.raises(UsageError, match=r"did you mean .*GeForce RTX 4090"):
        host_from_flags("570", ["GeForce RTX 4O90"])


def test_fleet_file_names_pools() -> None:
    training, desk = parse_fleet(FLEET, "fleet.toml")
    assert (training.name, training.injection, str(training.toolkit)) == (
        "training",
        "cdi",
        "1.17.8",
    )
    assert len(training.gpus) == 2
    assert desk.disable_require


def test_problems_of_a_fleet_file_name_their_keys() -> None:
    text = '[pools.a]\ndriver = "new"\ngpus = ["X1"]\n[pools.b]\ndriver = "535"\ntoolkit = "v1"\n'
    with pytest.raises(SpecError) as caught:
        parse_fleet(text, "fleet.toml")
    assert [(problem.file, problem.key) for problem in caught.value.problems] == [
        ("fleet.toml", "pools.a.driver"),
        ("fleet.toml", "pools.a.gpus"),
        ("fleet.toml", "pools.b.toolkit"),
    ]


@pytest.mark.parametrize(
    "text",
    ["pools = 1", "[pools.a]\ngpus = []\n", '[pools.a]\ndriver = "1"\ndrivr = "2"\n', "[pools"],
)
def test_malformed_fleet_file_is_an_error_of_the_spec(text: str) -> None:
    with pytest.raises(SpecError):
        parse_fleet(text, "fleet.toml")


LABELS = {
    "kubernetes.io/arch": "amd64",
    "nvidia.com/cuda.driver.major": "535",
    "nvidia.com/cuda.driver.minor": "129",
    "nvidia.com/cuda.driver.rev": "03",
    "nvidia.com/cuda.runtime.major": "12",
    "nvidia.com/cuda.runtime.minor": "2",
    "nvidia.com/gpu.compute.major": "8",
    "nvidia.com/gpu.compute.minor": "0",
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB",
}
NEWER = {
    "nvidia.com/cuda.driver-version.full": "570.133.20",
    "nvidia.com/cuda.driver-version.major": "570",
    "nvidia.com/cuda.runtime-version.full": "12.8",
    "nvidia.com/gpu.compute.major": "9",
    "nvidia.com/gpu.compute.minor": "0",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb",
    "nvidia.com/mig.strategy": "single",
}


def node(name: str, labels: dict[str, str]) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": labels}}


def test_labels_of_both_generations_are_read() -> None:
    old, new = read_labels("a", LABELS), read_labels("b", NEWER)
    assert old is not None
    assert new is not None
    assert (str(old.driver), str(old.cuda)) == ("535.129.03", "12.2")
    assert (old.gpus[0].capability, old.gpus[0].category, old.gpus[0].count) == (
        (8, 0),
        "datacenter",
        8,
    )
    assert (str(new.driver), str(new.cuda)) == ("570.133.20", "12.8")
    assert new.gpus[0].name == "NVIDIA-H100-80GB-HBM3"
    assert new.gpus[0].mig


def test_nodes_that_are_alike_are_one_host() -> None:
    listing = {"items": [node("a", LABELS), node("b", LABELS), node("c", NEWER), node("d", {})]}
    hosts = parse_nodes(json.dumps(listing))
    assert [host.name for host in hosts] == ["a, b", "c"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"items": [{}]}', "null"])
def test_what_is_not_a_node_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="kubectl get nodes"):
        parse_nodes(text)


def test_label_that_is_not_a_number_is_ignored() -> None:
    odd = read_labels(
        "a", LABELS | {"nvidia.com/gpu.count": "many", "nvidia.com/cuda.driver.rev": ""}
    )
    assert odd is not None
    assert str(odd.driver) == "535.129"
    assert odd.gpus[0].count == 1
