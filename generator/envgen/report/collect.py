"""From a locked project to its report. Reads files of the project; uses no network."""

from collections.abc import Iterator
from typing import Final

import msgspec

from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Host
from envgen.cuda.judge import judge
from envgen.cuda.requirement import Requirement
from envgen.cuda.tables import tables
from envgen.cuda.verdict import Kind, Outcome, Verdict
from envgen.cuda.version import parse_version
from envgen.errors import EnvgenError
from envgen.lock.compare import ImageDiff, Snapshot, compare_locks
from envgen.lock.model import LOCK_FILE, LockedImage, read_lock
from envgen.lock.packages import LockedPackage
from envgen.lock.request import image_platforms
from envgen.lock.revision import open_revision
from envgen.lock.stored import read_packages
from envgen.plan.gpu import describe_requirement
from envgen.plan.model import ImagePlan
from envgen.project import Project, plan_project
from envgen.report.model import GpuAnswer, ImageReport, Report, WeighedLayer, WeighedPackage

GPUS: Final = (
    *("V100", "T4", "A10", "A100", "L4", "L40S", "H100", "H200", "B200"),
    *("RTX 3090", "RTX 4090", "RTX 5090"),
)
"""What people mostly run on, the oldest of each line first; the spec's own targets come before."""


_TELLING: Final = frozenset({Kind.NO_KERNEL_IMAGE, Kind.PTX_TOOLCHAIN})
"""What no other driver mends; it is the reason to tell where drivers of all ages fail."""


def collect(opened: Project, revision: str) -> Report:
    """Return the report of a project whose lock is up to date.

    Args:
        opened: The project.
        revision: The git revision that changes are told against, where it can be read.

    """
    changes = _read_changes(opened, revision)
    return Report(
        project=opened.loaded.spec.project.name,
        revision=revision if changes is not None else "",
        images=tuple(
            _collect_image(opened, plan, (changes or {}).get(plan.name))
            for plan in plan_project(opened).images
        ),
    )


def _collect_image(opened: Project, plan: ImagePlan, change: ImageDiff | None) -> ImageReport:
    locked = opened.lock.images[plan.name]
    return ImageReport(
        name=plan.name,
        base=plan.base.name,
        digest=plan.base.digest,
        decisions=plan.decisions,
        layers=tuple(_weigh_layers(opened, plan.name, locked)),
        gpus=tuple(_judge_gpus(opened, plan.name, locked)),
        change=change,
    )


def _weigh_layers(opened: Project, name: str, locked: LockedImage) -> Iterator[WeighedLayer]:
    for layer in locked.layers:
        alone = msgspec.structs.replace(locked, layers=(layer,))
        packages = (_weigh(package) for package in read_packages(name, alone, opened.read))
        heaviest = sorted(packages, key=lambda package: (-package.download_bytes, package.name))
        yield WeighedLayer(name=layer.name, packages=tuple(heaviest))


def _weigh(package: LockedPackage) -> WeighedPackage:
    """Return a package with its largest file: which of several is taken depends on the platform."""
    files = (*package.wheels, *((package.source,) if package.source else ()))
    return WeighedPackage(
        name=package.conda or package.name,
        version=package.version,
        download_bytes=max((file.size or 0 for file in files), default=0),
    )


def _judge_gpus(opened: Project, name: str, locked: LockedImage) -> Iterator[GpuAnswer]:
    spec = opened.loaded.spec
    gpu = spec.images[name].gpu
    if gpu is None or not locked.gpu_code:
        return
    requirement = describe_requirement(name, locked, image_platforms(spec, name)[0])
    for model in dict.fromkeys((*gpu.targets, *GPUS)):
        yield _judge_gpu(requirement, model)


def _judge_gpu(requirement: Requirement, model: str) -> GpuAnswer:
    """Return the oldest driver branch that the image runs on, by its newest release."""
    found = find_gpu(model)
    verdicts: list[Verdict] = []
    for branch in sorted({row.branch for row in tables().branches}):
        host = Host(driver=parse_version(f"{branch}.999"), gpus=(found,) if found else ())
        verdicts.append(judge(requirement, host))
        if verdicts[-1].outcome is Outcome.RUNS:
            return GpuAnswer(gpu=model, outcome="runs", detail=f"from driver {branch} on")
    telling = [verdict for verdict in verdicts if verdict.kind in _TELLING] or verdicts
    why = str(telling[-1].kind) if telling[-1].kind else "not known"
    return GpuAnswer(
        gpu=model, outcome=str(telling[-1].outcome), detail=f"{why}: needs {telling[-1].need}"
    )


def _read_changes(opened: Project, revision: str) -> dict[str, ImageDiff] | None:
    """Return what changed by image; None where there is no revision to compare with."""
    try:
        read = open_revision(opened.root, revision)
        content = read(LOCK_FILE)
    except EnvgenError:
        return None
    if content is None:
        return None
    before = Snapshot(lock=read_lock(content), read=read)
    after = Snapshot(lock=opened.lock, read=opened.read)
    return {found.image: found for found in compare_locks(before, after)}
