"""The comparison in the image says what envgen itself says of the same lock on the same machine."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from envgen_runtime.fit import Objection, compare
from envgen_runtime.gpu import WORKS, Seen
from envgen_runtime.nvml import Gpu
from envgen_runtime.requirement import parse_requirement
from hypothesis import assume, example, given

from envgen.cuda.drivers import supported_cuda
from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Gpu as HostGpu
from envgen.cuda.host import Host, Platform
from envgen.cuda.judge import judge
from envgen.cuda.requirement import Component, Kernels
from envgen.cuda.requirement import Requirement as Asked
from envgen.cuda.tables import tables
from envgen.cuda.verdict import Outcome
from envgen.cuda.version import Capability, Version, parse_capability, parse_version
from envgen.cuda.wheels import describe_wheel
from envgen.plan.start import write_requirement

NEWEST = max(parse_version(row.cuda) for row in tables().branches)
RELEASES = sorted({parse_version(row.version).release for row in tables().toolkits})
KNOWN = [release for release in RELEASES if release <= NEWEST]
CAPABILITIES = [parse_capability(row.capability) for row in tables().architectures]
IN_A_CONTAINER = {"runtime_fits", "code_covers_gpu", "driver_compiles_ptx"}
"""The rules that are left once the container has started and NVML has named the GPU."""


def ask(asked: Asked) -> str:
    return write_requirement({"x86_64": asked}, required=False)


def see(host: Host) -> Seen:
    """Return the host as the runtime would see it."""
    seen = Seen(WORKS)
    seen.driver = str(host.driver)
    seen.cuda = (host.cuda.major, host.cuda.minor) if host.cuda else None
    seen.wsl = host.platform == "wsl2"
    seen.gpus = [Gpu(gpu.name, gpu.capability) for gpu in host.gpus]
    return seen


def object_to(asked: Asked, host: Host) -> Objection | None:
    objections = compare(parse_requirement(ask(asked), "x86_64"), see(host))
    return objections[0] if objections else None


codes = st.lists(st.sampled_from(CAPABILITIES), max_size=6, unique=True).map(tuple)
builds = st.lists(st.builds(Kernels, sass=codes, ptx=codes), max_size=2).map(tuple)
drivers = st.builds(
    lambda branch, minor, patch: parse_version(f"{branch}.{minor:02}.{patch:02}"),
    st.sampled_from([row.branch for row in tables().branches]) | st.integers(340, 640),
    st.integers(0, 260),
    st.integers(0, 20),
)


@st.composite
def parts(draw: st.DrawFn, releases: list[Version]) -> Component:
    if draw(st.booleans()):
        row = draw(st.sampled_from(tables().kernels))
        cuda = parse_version(row.cuda)
        assume(cuda in releases)
        return describe_wheel(row.package, row.version, cuda)
    cuda = draw(st.sampled_from(releases))
    return Component(
        name=f"package {cuda}",
        cuda=cuda,
        builds=draw(builds),
        ptx_at_runtime=draw(st.booleans()),
        used_from=draw(st.none() | st.sampled_from(CAPABILITIES)),
    )


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    """Return machines whose GPU is driven by their driver: NVML lists no others."""
    name = draw(st.sampled_from([row.name for row in tables().gpus]))
    platform: Platform = draw(st.sampled_from(["linux", "wsl2"]))
    host = Host(driver=draw(drivers), gpus=(find(name),), platform=platform, injection="cdi")
    support = supported_cuda(host)
    assume(support is not None)
    # NVML names the CUDA; only under Linux the driver's version tells it as well.
    if support and (platform == "wsl2" or draw(st.booleans())):
        return Host(
            driver=host.driver,
            gpus=host.gpus,
            platform=platform,
            injection="cdi",
            cuda=support.low,
        )
    return host


def find(name: str) -> HostGpu:
    found = find_gpu(name)
    assert found is not None
    return found


def machine(driver: str, gpu: str) -> Host:
    return Host(driver=parse_version(driver), gpus=(find(gpu),), injection="cdi")


def wheel(package: str, version: str, cuda: str) -> Component:
    return describe_wheel(package, version, parse_version(cuda))


@given(part=parts(KNOWN), host=hosts())
@example(part=wheel("torch", "2.9.1", "12.8"), host=machine("525.60.12", "A100"))
@example(part=wheel("torch", "2.9.1", "12.8"), host=machine("525.60.13", "A100"))
@example(part=wheel("torch", "2.9.1", "12.8"), host=machine("570.26", "GTX 1080"))
@example(part=wheel("torch", "2.5.1", "12.4"), host=machine("570.26", "RTX 5090"))
@example(part=wheel("torch", "2.14.1", "13.0"), host=machine("580.65.06", "V100"))
@example(part=wheel("numba", "0.60", "12.8"), host=machine("535.129.03", "A100"))
@example(part=wheel("numba", "0.60", "12.2"), host=machine("535.129.03", "A100"))
def test_one_package_is_judged_as_envgen_judges_it(part: Component, host: Host) -> None:
    asked = Asked(name="image", components=(part,))
    verdict = judge(asked, host)
    assume(verdict.outcome is not Outcome.FAILS or verdict.rule in IN_A_CONTAINER)
    objection = object_to(asked, host)
    assert (objection is not None) == (verdict.outcome is Outcome.FAILS)
    if objection:
        assert objection.need == verdict.need


@given(some=st.lists(parts(KNOWN), min_size=2, max_size=4), host=hosts())
def test_several_packages_are_judged_as_envgen_judges_them(
    some: list[Component], host: Host
) -> None:
    asked = Asked(name="image", components=tuple(some))
    verdict = judge(asked, host)
    assume(verdict.outcome is not Outcome.FAILS or verdict.rule in IN_A_CONTAINER)
    assert (object_to(asked, host) is not None) == (verdict.outcome is Outcome.FAILS)


@given(part=parts([parse_version("13.9"), parse_version("14.0")]), host=hosts())
def test_cuda_newer_than_the_tables_stops_only_what_envgen_says_fails(
    part: Component, host: Host
) -> None:
    asked = Asked(name="image", components=(part,))
    if object_to(asked, host):
        assert judge(asked, host).outcome is Outcome.FAILS


@pytest.mark.parametrize("gpu", CAPABILITIES)
def test_integrated_gpus_run_only_their_own_code(gpu: Capability) -> None:
    host = Host(
        driver=parse_version("615.10"), gpus=(HostGpu(name="GPU", capability=gpu),), injection="cdi"
    )
    for code in CAPABILITIES:
        for cuda in ("13.0", "13.2"):
            build = Kernels(sass=(code,))
            part = Component(name="package", cuda=parse_version(cuda), builds=(build,))
            asked = Asked(name="image", components=(part,))
            verdict = judge(asked, host)
            if verdict.rule in {"all", *IN_A_CONTAINER}:
                failed = verdict.outcome is Outcome.FAILS
                assert (object_to(asked, host) is not None) == failed


def test_other_processors_do_not_count() -> None:
    text = write_requirement(
        {
            "x86_64": Asked(name="image", components=(wheel("torch", "2.9.1", "12.8"),)),
            "aarch64": Asked(name="image", components=(wheel("torch", "2.9.1", "12.6"),)),
        },
        required=True,
    )
    here, there = parse_requirement(text, "x86_64"), parse_requirement(text, "aarch64")
    assert [part.release for part in here.parts] == ["12.8"]
    assert [part.release for part in there.parts] == ["12.6"]
    assert here.required
    assert there.required
    assert parse_requirement(text, "riscv64").parts == []


@pytest.mark.parametrize("driver", ["", "not a version", "535.x"])
def test_unknown_driver_is_no_objection(driver: str) -> None:
    seen = Seen(WORKS)
    seen.driver = driver
    asked = Asked(name="image", components=(wheel("torch", "2.9.1", "12.8"),))
    assert compare(parse_requirement(ask(asked), "x86_64"), seen) == []


def test_driver_library_of_the_image_may_lift_an_old_driver() -> None:
    """Which CUDA cuda-compat gives, only NVML tells."""
    seen = see(machine("535.129.03", "A100"))
    requirement = parse_requirement(
        ask(Asked(name="image", components=(wheel("torch", "2.14.1", "13.0"),))), "x86_64"
    )
    assert compare(requirement, seen)
    seen.compat = True
    assert compare(requirement, seen) == []
    seen.cuda = (13, 0)
    assert compare(requirement, seen) == []
    seen.cuda = (12, 2)
    assert compare(requirement, seen)
