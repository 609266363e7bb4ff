"""Look at this machine: NVML where its bindings are installed, else nvidia-smi, else /proc.

The parsers are pure functions over what those say; `probe_host` is the only one that looks.
"""

import importlib
import platform as python_platform
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Gpu, Host, Injection, Platform
from envgen.cuda.version import Version, find_version, parse_capability, parse_version
from envgen.errors import ToolError
from envgen.process import run

QUERY: Final = "name,driver_version,compute_cap,mig.mode.current"
"""What is asked of nvidia-smi; drivers before R510 do not know `compute_cap`."""

PROC: Final = Path("/proc/driver/nvidia")
JIT_CDI: Final = parse_version("1.18")
"""From this release on NVIDIA's container toolkit uses CDI unless told otherwise."""

_SMI_TIMEOUT_S: Final = 20.0
_HEADER: Final = re.compile(
    r"NVIDIA-SMI\s+(?P<smi>[\d.]+)\s.*?(?:Driver|KMD) Version:\s+(?P<driver>[\d.]+)"
    r"(?:\s+CUDA (?:UMD )?Version:\s+(?P<cuda>\S+))?"
)
_TABLE_GPU: Final = re.compile(
    r"^\|\s+(?P<index>\d+)\s+(?P<name>\S.*?)\s+(?:On|Off|N/A|TCC|WDDM|WDDM2|MCDM)\s+\|",
    re.MULTILINE,
)
_MIG_ENABLED: Final = re.compile(r"\|\s+Enabled\s*\|\s*$", re.MULTILINE)
_NO_DEVICES: Final = "the driver is loaded and finds no GPU"
_FAILURES: Final[Mapping[str, str]] = {
    r"Driver/library version mismatch": (
        "the driver was upgraded but not reloaded: its library and kernel module differ"
    ),
    r"couldn't communicate with the NVIDIA driver": "no NVIDIA kernel module is loaded",
    r"Failed to initialize NVML: Unknown Error": (
        "this container has lost its GPU devices, as after a cgroup reload"
    ),
    r"No devices were found": _NO_DEVICES,
    r"Unable to determine the device handle": "a GPU has fallen off the bus",
    r"GPU is lost": "a GPU has fallen off the bus",
}
_NVML_BRANDS: Final[Mapping[int, str]] = {
    0: "unknown",
    1: "quadro",
    2: "tesla",
    3: "nvs",
    4: "grid",
    5: "geforce",
    6: "titan",
    7: "vapps",
    8: "vpc",
    9: "vcs",
    10: "vws",
    11: "cloudgaming",
    12: "quadrortx",
    13: "nvidiartx",
    14: "nvidia",
    15: "geforcertx",
    16: "titanrtx",
}
"""nvml.h, nvmlBrandType_t, in the spelling that libnvidia-container compares."""


def probe_host() -> Host:
    """Return this machine as a host."""
    host = _probe_nvml() or _probe_smi() or _probe_proc()
    toolkit = _probe_toolkit()
    return msgspec.structs.replace(
        host or Host(faults=("no NVIDIA driver is installed",)),
        name=python_platform.node(),
        platform=_probe_platform(host),
        toolkit=toolkit,
        injection=injection_of(toolkit, _read(Path("/etc/nvidia-container-runtime/config.toml"))),
    )


def _probe_nvml() -> Host | None:
    try:
        pynvml = importlib.import_module("pynvml")  # optional, and slow to load
    except ImportError:
        return None
    try:
        return read_nvml(pynvml)
    except pynvml.NVMLError:  # nvidia-smi says more about a broken driver
        return None


def read_nvml(nvml: ModuleType) -> Host:
    """Return what NVML says, given its Python bindings."""
    nvml.nvmlInit()
    try:
        cuda = nvml.nvmlSystemGetCudaDriverVersion_v2()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        return Host(
            driver=find_version(_text(nvml.nvmlSystemGetDriverVersion())),
            cuda=parse_version(f"{cuda // 1000}.{cuda % 1000 // 10}"),
            gpus=merge_gpus(_nvml_gpu(nvml, handle) for handle in handles),
            faults=() if handles else (_NO_DEVICES,),
        )
    finally:
        nvml.nvmlShutdown()


def _nvml_gpu(nvml: ModuleType, handle: object) -> Gpu:
    gpu = name_gpu(_text(nvml.nvmlDeviceGetName(handle)))
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    try:
        mig = nvml.nvmlDeviceGetMigMode(handle)[0] == 1
    except nvml.NVMLError:  # not supported before Ampere
        mig = False
    brand = _NVML_BRANDS.get(nvml.nvmlDeviceGetBrand(handle), "")
    return msgspec.structs.replace(gpu, capability=(major, minor), brand=brand, mig=mig)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _probe_smi() -> Host | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        table = run([program], timeout_s=_SMI_TIMEOUT_S)
        query = run([program, f"--query-gpu={QUERY}", "--format=csv"], timeout_s=_SMI_TIMEOUT_S)
    except ToolError as error:
        return Host(faults=(f"nvidia-smi does not answer: {error}",))
    return combine_smi(table.stdout + table.stderr, query.stdout)


def combine_smi(table: str, query: str) -> Host:
    """Return a host from both outputs of nvidia-smi: the table for CUDA, the query for names."""
    host = parse_table(table)
    gpus = parse_query(query)
    return msgspec.structs.replace(host, gpus=gpus) if gpus else host


def parse_table(text: str) -> Host:
    """Return the host that the plain output of nvidia-smi describes."""
    header = _HEADER.search(text)
    gpus = merge_gpus(
        msgspec.structs.replace(name_gpu(found["name"]), mig=bool(_MIG_ENABLED.search(text)))
        for found in _TABLE_GPU.finditer(text)
    )
    if header is None:
        return Host(driver=_mismatched_driver(text), faults=find_faults(text) or (_first(text),))
    driver = parse_version(header["driver"])
    return Host(
        driver=driver,
        cuda=find_version(header["cuda"] or ""),
        gpus=gpus,
        platform="wsl2" if _is_wsl_table(header["smi"], driver) else "linux",
        faults=find_faults(text),
    )


def _is_wsl_table(smi: str, driver: Version) -> bool:
    """Under WSL2 nvidia-smi is a Linux program on a Windows driver, and the numbers differ."""
    return parse_version(smi) != driver


def _mismatched_driver(text: str) -> Version | None:
    found = re.search(r"NVML library version: ([\d.]+)", text)
    return parse_version(found[1]) if found else None


def _first(text: str) -> str:
    return text.strip().split("\n", maxsplit=1)[0] or "nvidia-smi prints nothing"


def find_faults(text: str) -> tuple[str, ...]:
    """Return what is wrong with the machine, where nvidia-smi says so."""
    return tuple(
        dict.fromkeys(
            meaning
            for pattern, meaning in _FAILURES.items()
            if re.search(pattern, text, re.IGNORECASE)
        )
    )


def parse_query(text: str) -> tuple[Gpu, ...]:
    """Return the GPUs of `nvidia-smi --query-gpu=… --format=csv`; none where it failed."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line]
    if not rows or "name" not in rows[0]:
        return ()
    return merge_gpus(
        _query_gpu(dict(zip(rows[0], row, strict=True)))
        for row in rows[1:]
        if len(row) == len(rows[0])
    )


def _query_gpu(row: Mapping[str, str]) -> Gpu:
    gpu = name_gpu(row["name"])
    known = re.fullmatch(r"\d+\.\d", row.get("compute_cap", ""))
    return msgspec.structs.replace(
        gpu,
        capability=parse_capability(known.group()) if known else gpu.capability,
        mig=row.get("mig.mode.current", "") == "Enabled",
    )


def name_gpu(name: str) -> Gpu:
    """Return a GPU by the name that the driver gives it."""
    found = find_gpu(name)
    return msgspec.structs.replace(found or Gpu(), name=name)


def merge_gpus(gpus: Iterable[Gpu]) -> tuple[Gpu, ...]:
    """Return GPUs that are alike once each, with their number."""
    counts: dict[Gpu, int] = {}
    for gpu in gpus:
        counts[gpu] = counts.get(gpu, 0) + gpu.count
    return tuple(msgspec.structs.replace(gpu, count=count) for gpu, count in counts.items())


def _probe_proc() -> Host | None:
    version = _read(PROC / "version")
    if not version:
        return None
    files = sorted(PROC.glob("gpus/*/information"))
    return parse_proc(version, [_read(file) for file in files])


def parse_proc(version: str, gpus: Iterable[str]) -> Host:
    """Return the host that /proc/driver/nvidia/version and gpus/*/information describe."""
    found = re.search(r"Kernel Module(?: for \S+)?\s+(\d+\.[\d.]+)", version)
    models = [model[1] for text in gpus if (model := re.search(r"Model:\s*(\S.*)", text))]
    return Host(
        driver=parse_version(found[1]) if found else None,
        gpus=merge_gpus(name_gpu(model.strip()) for model in models),
        open_modules="Open Kernel Module" in version,
        faults=() if models else (_NO_DEVICES,),
    )


def _probe_platform(host: Host | None) -> Platform:
    release = _read(Path("/proc/sys/kernel/osrelease")).lower()
    return "wsl2" if "microsoft" in release or (host and host.platform == "wsl2") else "linux"


def _probe_toolkit() -> Version | None:
    program = shutil.which("nvidia-ctk") or shutil.which("nvidia-container-cli")
    if program is None:
        return None
    try:
        return parse_toolkit(run([program, "--version"], timeout_s=_SMI_TIMEOUT_S).stdout)
    except ToolError:
        return None


def parse_toolkit(text: str) -> Version | None:
    """Return the version that `nvidia-ctk --version` or `nvidia-container-cli --version` prints."""
    found = re.search(r"version:?\s+v?(\d+(?:\.\d+)*)", text)
    return parse_version(found[1]) if found else None


def injection_of(toolkit: Version | None, config: str) -> Injection:
    """Return how containers get GPUs, from the toolkit's version and its config.toml."""
    mode = re.search(r'^\s*mode\s*=\s*"([\w-]+)"', config, re.MULTILINE)
    if mode and mode[1] != "auto":
        return "cdi" if "cdi" in mode[1] else "hook"
    return "cdi" if toolkit and toolkit >= JIT_CDI else "hook"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
