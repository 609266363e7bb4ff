"""The verdict for one requirement on one host."""

import msgspec

from envgen.cuda.describe import describe_driver, describe_gpu
from envgen.cuda.forward_compat import Loaded, loaded_driver
from envgen.cuda.gpu_code import (
    code_covers_gpu,
    cudnn_covers_gpu,
    driver_compiles_ptx,
    needs_compiler,
)
from envgen.cuda.hook import hook_lets_it_start
from envgen.cuda.host import Gpu, Host
from envgen.cuda.requirement import Component, Requirement
from envgen.cuda.rules import driver_drives_gpu, driver_support, runtime_fits
from envgen.cuda.verdict import Outcome, Verdict

_SEVERITY = {Outcome.RUNS: 0, Outcome.UNKNOWN: 1, Outcome.FAILS: 2}


def judge(requirement: Requirement, host: Host) -> Verdict:
    """Return whether an image runs on a host, and why.

    A host with several different GPUs is judged for each; the answer is that of the worst, with
    all of them in `per_gpu`.
    """
    verdicts = [judge_gpu(requirement, host, gpu) for gpu in host.gpus or (Gpu(),)]
    worst = max(verdicts, key=lambda verdict: _SEVERITY[verdict.outcome])
    if len(verdicts) == 1:
        return worst
    return msgspec.structs.replace(worst, per_gpu=tuple(verdicts))


def judge_gpu(requirement: Requirement, host: Host, gpu: Gpu) -> Verdict:
    """Return the verdict for one GPU of a host: the first rule that objects, or that it runs."""
    verdict = _without_gpu(requirement, host) or _objection(requirement, host, gpu)
    return msgspec.structs.replace(verdict, gpu=gpu.name)


def _without_gpu(requirement: Requirement, host: Host) -> Verdict | None:
    if requirement.components or requirement.expressions:
        return None
    return Verdict(
        outcome=Outcome.RUNS,
        need="no GPU: nothing in it uses CUDA",
        have=describe_driver(host),
        rule="no_cuda",
        notes=requirement.notes,
    )


def _objection(requirement: Requirement, host: Host, gpu: Gpu) -> Verdict:
    support = driver_support(host)
    if isinstance(support, Verdict):
        return support
    before = driver_drives_gpu(host, gpu) or hook_lets_it_start(requirement, host, gpu)
    if before:
        return before
    loaded = loaded_driver(requirement, host, gpu, support)
    if isinstance(loaded, Verdict):
        return loaded
    return _component_objection(requirement, host, gpu, loaded) or _runs(
        requirement, host, gpu, loaded
    )


def _component_objection(
    requirement: Requirement, host: Host, gpu: Gpu, loaded: Loaded
) -> Verdict | None:
    """Return the first failure of any component, else what is not known of one."""
    parts = [part for part in requirement.components if _is_used(part, gpu)]
    found = [runtime_fits(part, host, loaded) for part in parts]
    found += [code_covers_gpu(part, gpu) for part in parts]
    found += [driver_compiles_ptx(part, gpu, loaded, host) for part in parts]
    found.append(cudnn_covers_gpu(requirement, gpu))
    objections = [verdict for verdict in found if verdict]
    return max(objections, key=lambda verdict: _SEVERITY[verdict.outcome], default=None)


def _is_used(part: Component, gpu: Gpu) -> bool:
    return part.used_from is None or gpu.capability is None or gpu.capability >= part.used_from


def _runs(requirement: Requirement, host: Host, gpu: Gpu, loaded: Loaded) -> Verdict:
    cuda = requirement.cuda
    own = ", through the image's own driver library" if loaded.from_image else ""
    notes = [*requirement.notes]
    for part in requirement.components:
        notes += _notes(part, gpu, loaded)
    return Verdict(
        outcome=Outcome.RUNS,
        need=f"CUDA {cuda}" if cuda else "no particular CUDA",
        have=f"{describe_driver(host)}{own} on {describe_gpu(gpu)}",
        rule="all",
        notes=tuple(notes),
    )


def _notes(part: Component, gpu: Gpu, loaded: Loaded) -> list[str]:
    notes = [part.note] if part.note else []
    if not part.builds:
        notes.append(f"the kernels of {part.name} are not in the tables; its toolkit can make them")
    if part.cuda and part.cuda.release > loaded.support.low:
        notes.append(f"{part.name} runs by minor-version compatibility")
    if part.builds and needs_compiler(part, gpu) and not part.ptx_at_runtime:
        notes.append(f"{part.name} has no finished code for this GPU: the first start compiles")
    return notes
