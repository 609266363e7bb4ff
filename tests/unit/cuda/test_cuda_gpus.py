"""GPUs are known under every name that people give them."""

import pytest

from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Category
from envgen.cuda.tables import tables
from envgen.cuda.version import parse_capability


@pytest.mark.parametrize(
    ("text", "capability", "category"),
    [
        ("NVIDIA A100-SXM4-40GB", (8, 0), "datacenter"),
        ("Tesla V100-SXM2-16GB", (7, 0), "datacenter"),
        ("NVIDIA H100 80GB HBM3", (9, 0), "datacenter"),
        ("A10G", (8, 6), "datacenter"),
        ("NVIDIA GeForce RTX 3090 Ti", (8, 6), "geforce"),
        ("rtx4090", (8, 9), "geforce"),
        ("4090", (8, 9), "geforce"),
        ("3080ti", (8, 6), "geforce"),
        ("GTX 1080", (6, 1), "geforce"),
        ("NVIDIA GeForce RTX 4070 Laptop GPU", (8, 9), "geforce"),
        ("GeForce GTX TITAN X", (5, 2), "titan"),
        ("TITAN Xp", (6, 1), "titan"),
        ("Quadro K4000", (3, 0), "workstation"),
        ("NVIDIA RTX 6000 Ada Generation", (8, 9), "workstation"),
        ("NVIDIA RTX A6000", (8, 6), "workstation"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", (12, 0), "datacenter"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", (12, 0), "workstation"),
        ("Jetson AGX Orin", (8, 7), "jetson"),
    ],
)
def test_gpu_is_found(text: str, capability: tuple[int, int], category: Category) -> None:
    gpu = find_gpu(text)
    assert gpu is not None
    assert (gpu.capability, gpu.category) == (capability, category)


@pytest.mark.parametrize(
    "text", ["", "unknown (not named in thread)", "GeForce GTX TIT...", "7", "AMD MI300X"]
)
def test_what_is_not_a_known_gpu_is_not_guessed(text: str) -> None:
    assert find_gpu(text) is None


def test_every_model_finds_itself() -> None:
    lost = [
        row.name
        for row in tables().gpus
        if (gpu := find_gpu(row.name)) is None
        or (gpu.capability, gpu.category) != (parse_capability(row.capability), row.category)
    ]
    assert lost == []
