"""Recorded hosts are read as what they are."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.cuda import probe
from envgen.cuda.host import Host
from envgen.cuda.probe import (
    combine_smi,
    injection_of,
    parse_proc,
    parse_query,
    parse_table,
    parse_toolkit,
    read_nvml,
)
from envgen.cuda.version import parse_version

HOSTS = Path(__file__).parent / "hosts"


def recorded(name: str) -> str:
    """Return a recording without the line that names its source."""
    text = (HOSTS / name).read_text("utf-8")
    assert text.startswith("# source: ")
    return text.split("\n", maxsplit=1)[1]


def summary(host: Host) -> tuple[str, str, list[tuple[str, tuple[int, int] | None, int]]]:
    gpus = [(gpu.name, gpu.capability, gpu.count) for gpu in host.gpus]
    return str(host.driver), str(host.cuda), gpus


@pytest.mark.parametrize(
    ("name", "driver", "cuda", "gpus"),
    [
        ("geforce-4070.txt", "550.40.07", "12.4", [("NVIDIA GeForce RTX 4070", (8, 9), 1)]),
        ("titan-xp.txt", "450.57", "11.0", [("TITAN Xp", (6, 1), 1)]),
        ("truncated-name.txt", "470.57.02", "11.4", [("NVIDIA GeForce ...", None, 1)]),
        (
            "mixed-5090-4090.txt",
            "580.82.09",
            "13.0",
            [("NVIDIA GeForce RTX 5090", (12, 0), 1), ("NVIDIA GeForce RTX 4090", (8, 9), 1)],
        ),
        ("wsl2.txt", "465.42", "11.3", [("GeForce RTX 2060", (7, 5), 1)]),
        ("datacenter-a10.txt", "570.148.08", "12.8", [("NVIDIA A10", (8, 6), 1)]),
        ("unlisted-gpu.txt", "590.44.01", "13.1", [("NVIDIA RTX 6000D", None, 2)]),
        ("cuda-not-available.txt", "575.64.03", "None", [("NVIDIA GeForce RTX 5070", (12, 0), 1)]),
        ("before-cuda-column.txt", "367.44", "None", [("GeForce GTX 106...", None, 1)]),
        ("mig.txt", "510.47.03", "11.6", [("NVIDIA A100-SXM...", (8, 0), 1)]),
    ],
)
def test_table_is_read(
    name: str, driver: str, cuda: str, gpus: list[tuple[str, tuple[int, int] | None, int]]
) -> None:
    host = parse_table(recorded(name))
    assert summary(host) == (driver, cuda, gpus)
    assert host.faults == ()


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("version-mismatch.txt", "upgraded but not reloaded"),
        ("module-not-loaded.txt", "no NVIDIA kernel module"),
        ("no-devices.txt", "finds no GPU"),
        ("lost-devices.txt", "has lost its GPU devices"),
    ],
)
def test_fault_is_recognised(name: str, meaning: str) -> None:
    (fault,) = parse_table(recorded(name)).faults
    assert meaning in fault


def test_unknown_message_is_handed_on() -> None:
    assert parse_table("Segmentation fault\n").faults == ("Segmentation fault",)
    assert parse_table("").faults == ("nvidia-smi prints nothing",)


def test_wsl2_is_recognised_by_two_version_numbers() -> None:
    assert parse_table(recorded("wsl2.txt")).platform == "wsl2"
    assert parse_table(recorded("geforce-4070.txt")).platform == "linux"


def test_mig_is_recognised() -> None:
    assert parse_table(recorded("mig.txt")).gpus[0].mig
    assert not parse_table(recorded("titan-xp.txt")).gpus[0].mig


def test_query_is_read_with_capabilities_and_mig() -> None:
    gpus = parse_query(recorded("query-a100.csv"))
    assert [(gpu.capability, gpu.mig, gpu.count) for gpu in gpus] == [
        ((8, 0), True, 1),
        ((8, 0), False, 2),
    ]
    (laptop,) = parse_query(recorded("query-laptop.csv"))
    assert (laptop.capability, laptop.category) == ((8, 9), "geforce")


def test_query_that_failed_leaves_the_table() -> None:
    assert parse_query(recorded("query-old-driver.txt")) == ()
    host = combine_smi(recorded("titan-xp.txt"), recorded("query-old-driver.txt"))
    assert host.gpus[0].name == "TITAN Xp"
    better = combine_smi(recorded("mig.txt"), recorded("query-a100.csv"))
    assert better.gpus[0].name == "NVIDIA A100-SXM4-80GB"


def test_proc_tells_driver_modules_and_models() -> None:
    host = parse_proc(recorded("proc-version-proprietary.txt"), [recorded("proc-gpu.txt")])
    assert summary(host) == ("580.173.02", "None", [("Tesla V100-SXM2-16GB", (7, 0), 1)])
    assert host.open_modules is False
    loaded = parse_proc(recorded("proc-version-open.txt"), [])
    assert (str(loaded.driver), loaded.open_modules) == ("570.133.20", True)
    assert loaded.faults


@given(st.text(max_size=200))
def test_no_output_breaks_the_parsers(text: str) -> None:
    assert isinstance(parse_table(text), Host)
    assert isinstance(parse_query(text), tuple)
    assert isinstance(parse_proc(text, [text]), Host)


class NvmlError(Exception):
    """What the bindings raise."""


def stand_in(name: str) -> ModuleType:
    """Return a module with the functions of nvidia-ml-py that are used, answering as recorded."""
    host = json.loads((HOSTS / f"nvml-{name}.json").read_text("utf-8"))
    assert host["source"]
    devices: list[dict[str, Any]] = host["devices"]
    module: Any = ModuleType("pynvml")
    module.NVMLError = NvmlError
    module.closed = False

    def start() -> None:
        if host["error"]:
            raise NvmlError(host["error"])

    def close() -> None:
        module.closed = True

    def mig_mode(index: int) -> list[int]:
        if devices[index]["mig"] is None:
            raise NvmlError("Not Supported")
        return [devices[index]["mig"], devices[index]["mig"]]

    module.nvmlInit = start
    module.nvmlShutdown = close
    module.nvmlSystemGetDriverVersion = host["driver"].encode
    module.nvmlSystemGetCudaDriverVersion_v2 = lambda: host["cuda"]
    module.nvmlDeviceGetCount = lambda: len(devices)
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetName = lambda index: devices[index]["name"]
    module.nvmlDeviceGetCudaComputeCapability = lambda index: devices[index]["capability"]
    module.nvmlDeviceGetBrand = lambda index: devices[index]["brand"]
    module.nvmlDeviceGetMigMode = mig_mode
    return module  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "driver", "cuda", "gpus"),
    [
        ("h100", "580.126.09", "13.0", [("datacenter", "nvidia", False, 8)]),
        (
            "a100-mig",
            "530.30.02",
            "12.1",
            [("datacenter", "nvidia", True, 1), ("datacenter", "nvidia", False, 1)],
        ),
        ("t4", "550.54.15", "12.4", [("datacenter", "tesla", False, 1)]),
        ("k80", "410.72", "10.0", [("datacenter", "tesla", False, 1)]),
        ("geforce", "535.183.01", "12.2", [("geforce", "geforce", False, 1)]),
        (
            "mixed",
            "550.163.01",
            "12.4",
            [("workstation", "quadro", False, 1), ("geforce", "geforce", False, 1)],
        ),
        ("titan", "410.48", "10.0", [("titan", "titan", False, 2)]),
        ("gb10", "580.159.03", "13.0", [("datacenter", "nvidia", False, 1)]),
        ("wsl2", "551.88", "12.4", [("geforce", "geforce", False, 1)]),
        ("vgpu", "525.60.13", "12.0", [("datacenter", "vws", False, 1)]),
        ("no-devices", "570.133.20", "12.8", []),
    ],
)
def test_nvml_is_read_and_closed(
    name: str, driver: str, cuda: str, gpus: list[tuple[str, str, bool, int]]
) -> None:
    module = stand_in(name)
    host = read_nvml(module)
    assert (str(host.driver), str(host.cuda)) == (driver, cuda)
    assert [(gpu.category, gpu.brand, gpu.mig, gpu.count) for gpu in host.gpus] == gpus
    assert module.closed


def test_driver_without_devices_is_a_fault() -> None:
    assert read_nvml(stand_in("no-devices")).faults == ("the driver is loaded and finds no GPU",)


def test_nvml_that_is_broken_leaves_the_word_to_nvidia_smi(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", stand_in("mismatch"))
    monkeypatch.setattr(probe, "_probe_smi", lambda: parse_table(recorded("version-mismatch.txt")))
    monkeypatch.setattr(probe, "_probe_toolkit", lambda: None)
    (fault,) = probe.probe_host().faults
    assert "upgraded but not reloaded" in fault


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a", "1.17.8"),
        ("cli-version: 1.14.3\nlib-version: 1.14.3", "1.14.3"),
        ("version: 1.3.3", "1.3.3"),
    ],
)
def test_toolkit_version_is_read(text: str, version: str) -> None:
    assert parse_toolkit(text) == parse_version(version)
    assert parse_toolkit("command not found") is None


@pytest.mark.parametrize(
    ("toolkit", "config", "injection"),
    [
        ("1.17.8", "", "hook"),
        ("1.18.0", "", "cdi"),
        ("1.18.0", '[nvidia-container-runtime]\nmode = "legacy"\n', "hook"),
        ("1.17.8", 'mode = "cdi"', "cdi"),
        ("1.18.0", 'mode = "auto"', "cdi"),
        ("", "", "hook"),
    ],
)
def test_injection_follows_toolkit_and_configuration(
    toolkit: str, config: str, injection: str
) -> None:
    assert injection_of(parse_version(toolkit) if toolkit else None, config) == injection
