"""The first gate: NVIDIA's runtime hook and its NVIDIA_REQUIRE_* conditions."""

from typing import Final

from envgen.cuda.describe import describe_driver, describe_gpu, shorten
from envgen.cuda.drivers import host_branch, minor_floor, supported_cuda
from envgen.cuda.host import Category, Gpu, Host
from envgen.cuda.require_expression import HostFacts, evaluate, without_host_properties
from envgen.cuda.requirement import Requirement
from envgen.cuda.verdict import Kind, Verdict, fails, unknown
from envgen.cuda.version import Version, format_capability, parse_version

BRANDS: Final[dict[Category, tuple[str, ...]]] = {
    "datacenter": ("tesla", "nvidia"),
    "workstation": ("quadro", "quadrortx", "nvidiartx", "nvidia"),
    "geforce": ("geforce", "geforcertx"),
    "titan": ("titan", "titanrtx"),
    "jetson": ("unknown",),
    "unknown": (),
}
"""The brands that NVML reports for a product line; which of them depends on model and driver."""

_WSL_TOOLKIT_FIXED: Final = parse_version("1.4.0")


def hook_lets_it_start(requirement: Requirement, host: Host, gpu: Gpu) -> Verdict | None:
    """The legacy hook refuses a container whose NVIDIA_REQUIRE_* does not hold."""
    if host.injection != "hook" or host.disable_require or requirement.disable_require:
        return None
    for expression in requirement.expressions:
        refused = {_refusal(expression, host, gpu, brand) for brand in _brands(gpu)}
        if "" in refused and (len(refused) == 1 or gpu.category != "unknown"):
            continue
        need = f"NVIDIA_REQUIRE_CUDA={shorten(expression)}"
        have = f"{describe_driver(host)} on {describe_gpu(gpu)}"
        if "" in refused:
            return unknown(
                need=need,
                have=have,
                fix="name the GPU: the requirement lets some brands pass",
                rule="hook_lets_it_start",
            )
        return fails(
            Kind.REQUIRE_CUDA_REFUSED,
            need=f"{need} (unsatisfied: {min(refused)})",
            have=have,
            fix=_refusal_fix(requirement),
            rule="hook_lets_it_start",
        )
    return None


def _refusal(expression: str, host: Host, gpu: Gpu, brand: str) -> str:
    """Return the condition that the hook would name, or nothing."""
    support = supported_cuda(host)
    cuda = support.low if support else None
    if host.platform == "wsl2" and host.toolkit and host.toolkit < _WSL_TOOLKIT_FIXED:
        cuda = parse_version("11.0")  # what it saw on every WSL2 host; nvidia-docker#1458
    arch = parse_version(format_capability(gpu.capability)) if gpu.capability else None
    facts = HostFacts(cuda=cuda, driver=_driver(host), arch=arch, brand=brand)
    if gpu.category == "jetson":
        expression = without_host_properties(expression)
    found = evaluate(expression, facts)
    return "" if found.holds else found.mistake or found.unsatisfied


def _driver(host: Host) -> Version | None:
    """Return the driver that the hook compares; its branch, where only the CUDA is known."""
    branch = None if host.driver else host_branch(host)
    return parse_version(str(branch)) if branch else host.driver


def _brands(gpu: Gpu) -> tuple[str, ...]:
    if gpu.brand:
        return (gpu.brand,)
    return BRANDS[gpu.category] or tuple(brand for brands in BRANDS.values() for brand in brands)


def _refusal_fix(requirement: Requirement) -> str:
    cuda = requirement.cuda or requirement.system_cuda
    floor = minor_floor(cuda.major, "linux") if cuda else None
    update = "update the driver, or use an image of an older CUDA"
    if floor is None:
        return update
    return (
        f"{update}; NVIDIA_DISABLE_REQUIRE=1 skips the check, and CUDA {cuda.major if cuda else ''}"
        f" itself needs {floor}"
    )
