"""The verdict for one requirement on one host."""

import msgspec

from envgen.cuda import rules
from envgen.cuda.host import Gpu, Host
from envgen.cuda.requirement import Component, Requirement
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
        have=rules.describe_driver(host),
        rule="no_cuda",
        notes=requirement.notes,
    )


def _objection(requirement: Requirement, host: Host, gpu: Gpu) -> Verdict:
    before = (
        rules.driver_is_there(host)
        or rules.driver_drives_gpu(host, gpu)
        or rules.hook_lets_it_start(requirement, host, gpu)
    )
    if before:
        return before
    loaded = rules.loaded_driver(requirement, host, gpu)
    if isinstance(loaded, Verdict):
        return loaded
    return _component_objection(requirement, host, gpu, loaded) or _runs(
        requirement, host, gpu, loaded
    )


def _component_objection(
    requirement: Requirement, host: Host, gpu: Gpu, loaded: rules.Loaded
) -> Verdict | None:
    """Return the first failure of any component, else what is not known of one."""
    parts = requirement.components
    found = [rules.runtime_fits(part, host, loaded) for part in parts]
    found += [rules.code_covers_gpu(part, gpu) for part in parts]
    found += [rules.driver_compiles_ptx(part, gpu, loaded, host) for part in parts]
    found.append(rules.cudnn_covers_gpu(requirement, gpu))
    objections = [verdict for verdict in found if verdict]
    return max(objections, key=lambda verdict: _SEVERITY[verdict.outcome], default=None)


def _runs(requirement: Requirement, host: Host, gpu: Gpu, loaded: rules.Loaded) -> Verdict:
    cuda = requirement.cuda
    own = ", through the image's own driver library" if loaded.from_image else ""
    notes = [*requirement.notes]
    for part in requirement.components:
        notes += _notes(part, gpu, loaded)
    return Verdict(
        outcome=Outcome.RUNS,
        need=f"CUDA {cuda}" if cuda else "no particular CUDA",
        have=f"{rules.describe_driver(host)}{own} on {rules.describe_gpu(gpu)}",
        rule="all",
        notes=tuple(notes),
    )


def _notes(part: Component, gpu: Gpu, loaded: rules.Loaded) -> list[str]:
    notes = [part.note] if part.note else []
    if not part.builds:
        notes.append(f"the kernels of {part.name} are not in the tables; its toolkit can make them")
    if part.cuda and part.cuda.release > loaded.support.low:
        notes.append(f"{part.name} runs by minor-version compatibility")
    if part.builds and rules.needs_compiler(part, gpu) and not part.ptx_at_runtime:
        notes.append(f"{part.name} has no finished code for this GPU: the first start compiles")
    return notes
