"""What locked packages require of a host, and where they disagree with each other."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from envgen.cuda.needs import links_cuda, serves, unmet_needs
from envgen.cuda.requirement import Component, Machine, Requirement
from envgen.cuda.tables import tables
from envgen.cuda.version import Version, find_version, parse_version
from envgen.cuda.wheels import bundled_parts, canonical_name, describe_wheel, find_software
from envgen.lock.packages import LockedPackage

_RUNTIMES: Final = re.compile(
    r"nvidia-cuda-runtime(?:-cu\d+)?|cuda-toolkit|cuda-cudart|cudatoolkit"
)
"""What brings `libcudart`: wheels of the `-cu11`/`-cu12` era, suffix-less ones from 13.0 on, the
metapackage, and the conda packages of both eras."""

_VARIANT: Final = re.compile(r"(?:\+|[_-])(?:cu|cuda)([789]|\d\d)\.?(\d)(?!\d)")
"""Major and minor version. A `cuda12` names the major version alone, and is no CUDA 1.2."""
_WITHOUT_CUDA: Final = re.compile(r"\+(?:cpu|rocm|xpu)|[_-]cpu[_-]")
_SUFFIX: Final = re.compile(r"-cu(?:da)?(\d\d)(?:x|\d)?(?:-|$)")
_FRAMEWORKS: Final = frozenset({"torch", "tensorflow", "jaxlib"})
_PLUGINS: Final = ("jax-cuda11-plugin", "jax-cuda12-plugin", "jax-cuda13-plugin")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a lock that will surprise its user.

    Attributes:
        name: What kind of surprise, for `explain` and for tests.
        what: What is there.
        why: What comes of it.
        fix: What to change.

    """

    name: str
    what: str
    why: str
    fix: str


class LockedCuda(msgspec.Struct, frozen=True, kw_only=True):
    """The requirement of a lock, and what was found on the way."""

    requirement: Requirement
    findings: tuple[Finding, ...] = ()


def read_lock(
    name: str,
    packages: Iterable[LockedPackage],
    *,
    base: Requirement | None = None,
    wants_gpu: bool = False,
    machine: Machine = "x86_64",
    os_packages: frozenset[str] = frozenset(),
) -> LockedCuda:
    """Return what an image with these packages requires.

    Args:
        name: The image, for messages.
        packages: What is locked, for one platform.
        base: The requirement of the base image; None for one without CUDA.
        wants_gpu: Whether the image is meant for a GPU.
        machine: The processor it is built for.
        os_packages: What the image has of its distribution beside the base.

    """
    by_name = {package.name: package for package in packages if applies(package, machine)}
    runtimes = cuda_runtimes(by_name)
    system = base.system_cuda if base else None
    parts = _components(by_name, runtimes, system, machine)
    cudnn = _library_versions(by_name, "nvidia-cudnn", "cudnn")
    nccl = _library_versions(by_name, "nvidia-nccl", "nccl")
    requirement = Requirement(
        name=name,
        components=parts,
        expressions=base.expressions if base else (),
        disable_require=bool(base and base.disable_require),
        compat=base.compat if base else None,
        system_cuda=system,
        cudnn=min(cudnn.values(), default=base.cudnn if base else None),
        nccl=min(nccl.values(), default=base.nccl if base else None),
    )
    findings = [
        *_two_copies(runtimes, system, parts),
        *(_cpu_only(by_name, parts, machine) if wants_gpu else ()),
        *_disagreements("cuDNN", cudnn, base.cudnn if base else None, runtimes),
        *_disagreements("NCCL", nccl, base.nccl if base else None, runtimes),
        *(_say_unmet(by_name, base, machine, os_packages) if wants_gpu else ()),
    ]
    return LockedCuda(requirement=requirement, findings=tuple(findings))


def applies(package: LockedPackage, machine: Machine) -> bool:
    """Return whether a locked package is installed on Linux with a processor."""
    if not package.marker:
        return True
    from packaging.markers import Marker  # noqa: PLC0415  only locks with markers need it

    environment = {
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
    }
    return Marker(package.marker).evaluate(environment)


def cuda_runtimes(packages: Mapping[str, LockedPackage]) -> tuple[Version, ...]:
    """Return the CUDA releases whose runtime is locked, oldest first and each once."""
    found = {
        parse_version(".".join(package.version.split(".")[:2]))
        for name, package in packages.items()
        if _RUNTIMES.fullmatch(name) and find_version(package.version)
    }
    return tuple(sorted(found))


def _components(
    packages: Mapping[str, LockedPackage],
    runtimes: tuple[Version, ...],
    system: Version | None,
    machine: Machine,
) -> tuple[Component, ...]:
    parts = []
    for package in packages.values():
        name = canonical_name(package.name)
        if not (_has_gpu_code(name) or links_cuda(package, machine)):
            continue
        cuda = package_cuda(package, runtimes, system, machine)
        if cuda is not None or not _may_be_cpu_only(name):
            parts.append(describe_wheel(package.name, package.version, cuda, machine))
            parts += bundled_parts(package.name, package.version, cuda, machine)
    return tuple(parts)


def _has_gpu_code(name: str) -> bool:
    known = any(row.package == name for row in tables().kernels)
    software = find_software(name)
    compiles = software and (software.at_runtime or software.kernels == "toolkit")
    return (known and name != "jaxlib") or bool(compiles)


def _may_be_cpu_only(name: str) -> bool:
    return name in {"torch", "tensorflow", "numba", "vllm"}


def package_cuda(
    package: LockedPackage,
    runtimes: tuple[Version, ...],
    system: Version | None,
    machine: Machine = "x86_64",
) -> Version | None:
    """Return the CUDA that a locked package uses; None for a CPU build or where nothing tells.

    Its own variant (`+cu128`, `_cuda126_` in a conda build, `-cuda12x` in the name) decides which
    of the locked runtimes it loads; without one it is the locked runtime, else the system's.
    """
    if _WITHOUT_CUDA.search(f"{package.version} {_file_name(package)}"):
        return None
    variant = _VARIANT.search(f"+{package.version} {_file_name(package)}")
    if variant:
        return parse_version(f"{variant[1]}.{variant[2]}")
    suffix = _SUFFIX.search(package.name)
    majors = {int(suffix[1])} if suffix else {version.major for version in runtimes}
    fitting = [version for version in runtimes if version.major in majors]
    if fitting:
        return fitting[-1]
    if system and (not suffix or system.major in majors):
        uses_system = links_cuda(package, machine) or suffix
        return system if uses_system else None
    return parse_version(f"{suffix[1]}.0") if suffix else None


def _file_name(package: LockedPackage) -> str:
    return package.wheels[0].filename if package.wheels else ""


def _library_versions(
    packages: Mapping[str, LockedPackage], wheel: str, conda: str
) -> dict[str, Version]:
    """Return the locked versions of an NVIDIA library by package name."""
    pattern = re.compile(rf"{wheel}(?:-cu\d+)?|{conda}|lib{conda}")
    return {
        name: version
        for name, package in packages.items()
        if pattern.fullmatch(name) and (version := find_version(package.version))
    }


def _two_copies(
    runtimes: tuple[Version, ...], system: Version | None, parts: tuple[Component, ...]
) -> Iterable[Finding]:
    used = sorted({part.cuda.release for part in parts if part.cuda})
    if len({version.major for version in (*runtimes, *used)}) > 1:
        listed = " and ".join(str(version) for version in sorted({*runtimes, *used}))
        yield Finding(
            name="two-cuda-majors",
            what=f"packages of CUDA {listed} are locked together",
            why="each brings its own libraries, and one process may load both",
            fix="choose builds of one CUDA",
        )
    if not runtimes or system is None:
        return
    newest = runtimes[-1]
    yield Finding(
        name="two-cuda-copies",
        what=f"the base image has CUDA {system}, the packages bring {newest}",
        why="the packages load their own; the base image's copy costs gigabytes",
        fix="use a base without CUDA",
    )
    if system.release > newest or system.major != newest.major:
        yield Finding(
            name="foreign-base-cuda",
            what=f"CUDA {system} of the base image is not the packages' {newest}",
            why="the base image asks the host for a driver that nothing in the image needs",
            fix=f"use a base without CUDA, or one of CUDA {newest}",
        )


def _cpu_only(
    packages: Mapping[str, LockedPackage], parts: tuple[Component, ...], machine: Machine
) -> Iterable[Finding]:
    on_gpu = {canonical_name(part.name.split(" ", maxsplit=1)[0]) for part in parts}
    for name, package in packages.items():
        known = canonical_name(name)
        with_plugin = known == "jaxlib" and any(plugin in packages for plugin in _PLUGINS)
        if known not in _FRAMEWORKS or known in on_gpu or with_plugin:
            continue
        if not links_cuda(package, machine):
            yield Finding(
                name="cpu-wheel-in-gpu-image",
                what=f"{name} {package.version} is a build without CUDA",
                why="it runs, and never touches the GPU",
                fix="lock the CUDA variant, or declare the image without a GPU",
            )


def _say_unmet(
    packages: Mapping[str, LockedPackage],
    base: Requirement | None,
    machine: Machine,
    os_packages: frozenset[str],
) -> Iterable[Finding]:
    """Yield what packages need and neither the lock nor the base image brings."""
    cudnn = f" and cuDNN {base.cudnn}" if base and base.cudnn else ""
    has = f"the base image has CUDA {base.system_cuda}{cudnn}" if base and base.system_cuda else ""
    for package, need in unmet_needs(packages, machine):
        if not (serves(base, need) or (need.apt and os_packages.issuperset(need.apt))):
            yield Finding(
                name="unmet-need",
                what=f"{package.name} {package.version} needs {need.what}",
                why=(need.cuda and has) or "nothing that is locked brings it",
                fix=need.fix,
            )


def _disagreements(
    library: str,
    locked: Mapping[str, Version],
    of_base: Version | None,
    runtimes: tuple[Version, ...],
) -> Iterable[Finding]:
    if len(set(locked.values())) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in sorted(locked.items()))
        yield Finding(
            name="library-disagreement",
            what=f"two versions of {library} are locked: {listed}",
            why="which one a process loads depends on the order of its imports",
            fix=f"choose builds that share one {library}",
        )
    for name, version in sorted(locked.items()):
        suffix = _SUFFIX.search(name)
        majors = {runtime.major for runtime in runtimes}
        if suffix and majors and int(suffix[1]) not in majors:
            yield Finding(
                name="library-disagreement",
                what=f"{name} is for CUDA {suffix[1]}, the locked runtime is {runtimes[-1]}",
                why=f"{library} {version} loads libraries that are not there",
                fix=f"lock the {library} of CUDA {runtimes[-1].major}",
            )
        if of_base and of_base.release != version.release:
            yield Finding(
                name="library-disagreement",
                what=f"the base image has {library} {of_base}, the lock has {version}",
                why="LD_LIBRARY_PATH of the base may put its own first",
                fix=f"use a base image without {library}",
            )
