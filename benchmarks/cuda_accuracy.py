"""How often the CUDA check is right on real cases.

    python benchmarks/cuda_accuracy.py CASES.toml [--json]

A case is a GPU, a driver and an image or wheel with the outcome that a public thread reports. The
requirement and the host are made from what a user knows before the start: INPUTS names the fields
that are read, and nothing else of a case reaches the check. docs/cuda.md says what is assumed
where a thread does not tell.
"""

import argparse
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from envgen.cuda.drivers import find_branch
from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Category, Gpu, Host, Injection, Platform
from envgen.cuda.images import from_name
from envgen.cuda.judge import judge
from envgen.cuda.requirement import Compat, Component, Kernels, Requirement
from envgen.cuda.tables import tables
from envgen.cuda.verdict import Outcome, Verdict
from envgen.cuda.version import Version, find_version, parse_capability, parse_version
from envgen.cuda.wheels import (
    bundled_parts,
    canonical_name,
    default_target,
    describe_wheel,
    find_software,
)

INPUTS: Final = (
    *("gpu", "compute_capability", "driver", "driver_cuda"),
    *("image", "wheel", "runtime_cuda", "host_os"),
)
FRAMEWORKS: Final = frozenset({"torch", "tensorflow", "jax", "jaxlib", "vllm", "sglang"})
"""Their own build scripts name the architectures; other sources get what nvcc does by default."""

_DATACENTER: Final = re.compile(
    r"data.?cent|sagemaker|\bec2\b|\baws\b|\bgcp\b|\bgke\b|\bazure\b|cloud|\bdgx\b|cluster|\bhpc\b"
    r"|colab|kaggle|\b[gp]\d[a-z]*\.\d*x?large|standard_n",
    re.IGNORECASE,
)
_WITHOUT_HOOK: Final = re.compile(r"singularity|apptainer|enroot|charliecloud", re.IGNORECASE)
_ARM: Final = re.compile(r"\bG[HB]\d+|grace|jetson|orin|xavier|thor", re.IGNORECASE)
_CDI: Final = re.compile(r"podman|ramalama|\bcdi\b", re.IGNORECASE)
_WITHOUT_COMPAT: Final = re.compile(
    r"compat\S* (?:auto-?)?(?:skipped|disabled|removed)|no compat|compatib\w*=0"
)
_SOURCE_BUILD: Final = re.compile(
    r"source|compiled|self.?built|local build|built (?:with|locally)", re.IGNORECASE
)
_ARCHITECTURES: Final = re.compile(r"sm_[0-9]{2,3}(?![0-9])")


class Result(NamedTuple):
    """A case, what was recorded and what was said."""

    case: Mapping[str, Any]
    verdict: Verdict
    in_scope: bool

    @property
    def expected(self) -> Outcome:
        """The recorded outcome."""
        return Outcome.RUNS if self.case["works"] else Outcome.FAILS

    @property
    def right(self) -> bool:
        """Whether the outcome is right; `unknown` never is."""
        return self.verdict.outcome == self.expected


def make_host(case: Mapping[str, Any]) -> Host:
    """Return the host of a case."""
    platform = make_platform(case)
    driver = find_version(case.get("driver", ""))
    in_table = platform == "linux" and driver and find_branch(driver, platform)
    return Host(
        driver=driver,
        cuda=None if in_table else find_version(case.get("driver_cuda", "")),
        gpus=(make_gpu(case),),
        platform=platform,
        injection=make_injection(case, platform),
        toolkit=make_toolkit(platform, driver),
        disable_require=bool(
            re.search(r"NVIDIA_DISABLE_REQUIRE=(1|true)", case.get("image", ""), re.IGNORECASE)
        ),
    )


def make_platform(case: Mapping[str, Any]) -> Platform:
    """Return the operating system of a case."""
    name = case.get("host_os", "linux").lower()
    return "wsl2" if "wsl" in name else "windows" if "windows" in name else "linux"


def make_injection(case: Mapping[str, Any], platform: Platform) -> Injection:
    """Return how the case's container gets its GPU: the hook, unless its text says otherwise."""
    text = f"{case.get('image', '')} {case.get('gpu', '')} {case.get('host_os', '')}"
    if not case.get("image") or platform == "windows" or _WITHOUT_HOOK.search(text):
        return "none"
    return "cdi" if _CDI.search(text) else "hook"


def make_toolkit(platform: Platform, driver: Version | None) -> Version | None:
    """Return the container toolkit's version where the driver's age tells it.

    R470 is the first branch that is released for WSL2, in the same months as libnvidia-container
    1.4.0: an older driver there is a preview with a toolkit of its time.
    """
    preview = platform == "wsl2" and driver is not None and driver < parse_version("470")
    return parse_version("1.3.0") if preview else None


def make_gpu(case: Mapping[str, Any]) -> Gpu:
    """Return the GPU of a case; one that is not named is a consumer card, or a cloud's."""
    text = case.get("gpu", "")
    told = re.search(r"\d+\.\d", case.get("compute_capability", ""))
    capability = parse_capability(told.group()) if told else None
    found = find_gpu(re.sub(r"\(.*?\)", "", text))
    if found:
        return msgspec.structs.replace(found, capability=capability or found.capability)
    category: Category = "datacenter" if _DATACENTER.search(text) else "geforce"
    return Gpu(name=text, capability=capability, category=category)


def make_requirement(case: Mapping[str, Any]) -> Requirement:
    """Return the requirement of a case's image or wheel."""
    runtime = find_version(case.get("runtime_cuda", ""))
    wheel = case.get("wheel")
    parts = make_wheels(wheel, runtime) if wheel else ()
    if not case.get("image"):
        named = parts or (Component(name="the program", cuda=runtime),)
        return Requirement(name=named[0].name, components=named)
    return make_image(case, runtime, parts)


def make_wheels(wheel: Mapping[str, str], runtime: Version | None) -> tuple[Component, ...]:
    """Return what a case's wheel carries, with the parts bundled in it."""
    plain, version = plain_text(wheel.get("package", "")), plain_text(wheel.get("version", ""))
    cuda = runtime or find_version(wheel.get("cuda", ""))
    return (make_wheel(wheel, runtime), *bundled_parts(plain, version, cuda))


def plain_text(text: str) -> str:
    """Return a name or a version without remarks in parentheses and without extras."""
    return re.sub(r"\(.*?\)|\[.*?\]", "", text).strip()


def make_wheel(wheel: Mapping[str, str], runtime: Version | None) -> Component:
    """Return what a wheel, a conda package or a local build carries."""
    package, version = wheel.get("package", ""), wheel.get("version", "")
    text = f"{package} {version}"
    cuda = runtime or find_version(wheel.get("cuda", ""))
    plain = plain_text(package)
    component = describe_wheel(plain, plain_text(version), cuda)
    named = named_architectures(text)
    if named:
        return msgspec.structs.replace(component, builds=(named,))
    if is_built_by_its_user(plain, text) and not component.builds and cuda:
        builds = default_target("nvcc-default", cuda)
        return msgspec.structs.replace(component, builds=builds)
    return component


def is_built_by_its_user(package: str, text: str) -> bool:
    """Return whether nvcc's default target is to be expected.

    A thread that says so counts, and a program that is in no table: what people install ready made
    and report about is in them.
    """
    name = canonical_name(package)
    known = find_software(name) or any(row.package == name for row in tables().kernels)
    return name not in FRAMEWORKS and bool(not known or _SOURCE_BUILD.search(text))


def named_architectures(text: str) -> Kernels | None:
    """Return the architectures that a text lists, as `sm_50 sm_60` or as `sm_37..sm_70`."""
    named = [parse_capability(name) for name in _ARCHITECTURES.findall(text)]
    if not named:
        return None
    if re.search(r"sm_\d+ *(?:\.\.|-|to) *sm_\d+", text):
        known = [parse_capability(row.capability) for row in tables().architectures]
        named = [capability for capability in known if named[0] <= capability <= named[-1]]
    return Kernels(sass=tuple(named))


def make_image(
    case: Mapping[str, Any], runtime: Version | None, parts: tuple[Component, ...]
) -> Requirement:
    """Return the requirement of an image that is known by a description only."""
    text = case["image"]
    reference = find_reference(text)
    inner = re.search(r"\(v?(\d+\.\d+\.\d+[\w.]*)\)", text)
    requirement = from_name(
        reference,
        base_cuda(text) or runtime,
        version=inner[1] if inner else "",
        machine="aarch64" if _ARM.search(case.get("gpu", "")) else "x86_64",
    )
    inside = parts or wheels_in_text(text, runtime)
    components = inside or tuple(
        msgspec.structs.replace(part, cuda=runtime) for part in requirement.components
    )
    requirement = msgspec.structs.replace(requirement, components=components)
    return apply_remarks(requirement, case)


def find_reference(text: str) -> str:
    """Return the image that a description names or says to be built on; else the description."""
    first = text.split(" ", maxsplit=1)[0]
    if "/" in first:
        return first
    known = re.search(r"(?:nvcr\.io/nvidia|pytorch|tensorflow|vllm|lmsysorg)/[\w./:-]+", text)
    return known.group() if known else text


def base_cuda(text: str) -> Version | None:
    """Return the CUDA of the base image that a description names."""
    found = re.search(r"nvidia/cuda[: ]v?(\d+\.\d+)", text) or re.search(
        r"(\d+\.\d+)(?:\.\d+)? base", text
    )
    return parse_version(found[1]) if found else None


def wheels_in_text(text: str, runtime: Version | None) -> tuple[Component, ...]:
    """Return the wheels that a description names, as `torch 2.3.1+cu121`."""
    found = re.findall(r"\b(torch|tensorflow|jax)[ =]+(\d[\w.]*)", text)
    return tuple(describe_wheel(name, version, runtime) for name, version in found)


def apply_remarks(requirement: Requirement, case: Mapping[str, Any]) -> Requirement:
    """Return the requirement with what a description says of the label and of cuda-compat."""
    text = case["image"].lower()
    replace = msgspec.structs.replace
    if re.search(r"no nvidia_require_cuda|without (?:the )?(?:require )?label", text):
        # what is built on nvidia/cuda has the label: this is not, and has no cuda-compat either
        requirement = replace(requirement, expressions=(), compat=None)
    if re.search(
        r"compat\S* (?:auto-?)?(?:skipped|disabled|removed)|no compat|compatib\w*=0", text
    ):
        requirement = replace(requirement, compat=None)
    elif found := re.search(r"compat(?:-(\d+)-(\d+))?\S*(?:=1| forced| enabled| first)", text):
        version = parse_version(f"{found[1]}.{found[2]}") if found[1] else requirement.cuda
        if version:
            requirement = replace(requirement, compat=Compat(cuda=version, loading="always"))
    if re.search(r"sagemaker|\bml\.", case.get("gpu", "").lower()) and requirement.compat:
        # SageMaker starts the image's `serve`, not the script that would load cuda-compat
        requirement = replace(requirement, compat=None)
    return requirement


def judge_case(case: Mapping[str, Any]) -> Result:
    """Return what the check says of a case."""
    known = {field: case[field] for field in INPUTS if field in case}
    verdict = judge(make_requirement(known), make_host(known))
    return Result(case, verdict, is_in_scope(case))


def is_in_scope(case: Mapping[str, Any]) -> bool:
    """Return whether a case tells what has to be known, and fails in a way that CUDA explains."""
    told = case.get("driver") or case.get("driver_cuda")
    return bool(told and case.get("runtime_cuda") and case.get("failure") != "other")


def judge_naively(case: Mapping[str, Any]) -> Outcome:
    """Return the common rule's answer: CUDA of the image <= CUDA that nvidia-smi shows."""
    need, have = (find_version(case.get(key, "")) for key in ("runtime_cuda", "driver_cuda"))
    if need is None or have is None:
        return Outcome.UNKNOWN
    return Outcome.RUNS if need.release <= have.release else Outcome.FAILS


def measure(outcomes: Iterable[tuple[Outcome, Outcome]]) -> str:
    """Return accuracy, balanced accuracy and the rate of `unknown` of (expected, said) pairs."""
    pairs = list(outcomes)
    recalls = []
    for expected in (Outcome.RUNS, Outcome.FAILS):
        of_this = [said == expected for known, said in pairs if known == expected]
        recalls.append(sum(of_this) / len(of_this) if of_this else 0.0)
    right = sum(known == said for known, said in pairs) / len(pairs)
    unsure = sum(said == Outcome.UNKNOWN for _, said in pairs) / len(pairs)
    return f"accuracy {right:6.1%}  balanced {sum(recalls) / 2:6.1%}  unknown {unsure:5.1%}"


def kind_accuracy(results: Iterable[Result]) -> str:
    """Return how often the kind of a recorded failure is right."""
    failures = [result for result in results if result.expected == Outcome.FAILS]
    right = sum(result.verdict.kind == result.case["failure"] for result in failures)
    return f"kind right in {right} of {len(failures)} failures ({right / len(failures):.1%})"


def format_confusion(results: Iterable[Result]) -> str:
    """Return how often each recorded kind got each answer."""
    counts = Counter(
        (result.case.get("failure", "runs"), str(result.verdict.kind or result.verdict.outcome))
        for result in results
    )
    lines = [
        f"  {expected:32}{said:32}{count:4}" for (expected, said), count in sorted(counts.items())
    ]
    return "\n".join((f"  {'recorded':32}{'said':32}   n", *lines))


def format_wrong(results: Iterable[Result]) -> str:
    """Return the cases that are not right, with the reason given."""
    return "\n".join(
        f"  {result.case['id']}: recorded {result.case.get('failure', 'runs')}, "
        f"said {result.verdict.kind or result.verdict.outcome}: {result.verdict.reason}"
        for result in results
        if not result.right or result.case.get("failure") != result.verdict.kind
    )


def to_json(result: Result) -> str:
    """Return one line of JSON for a case."""
    return json.dumps(
        {
            "id": result.case["id"],
            "expected": result.expected,
            "expected_kind": result.case.get("failure"),
            "verdict": result.verdict.outcome,
            "kind": result.verdict.kind,
            "reason": result.verdict.reason,
            "in_scope": result.in_scope,
        }
    )


def report(results: list[Result]) -> str:
    """Return the figures as text."""
    scope = [result for result in results if result.in_scope]
    sections = []
    for title, chosen in (("in scope", scope), ("all", results)):
        said = measure((result.expected, result.verdict.outcome) for result in chosen)
        naive = measure((result.expected, judge_naively(result.case)) for result in chosen)
        sections += [
            f"{title}: {len(chosen)} cases",
            f"  envgen  {said}",
            f"  naive   {naive}",
            f"  {kind_accuracy(chosen)}",
        ]
    return "\n".join(
        [
            *sections,
            "",
            "confusion (all)",
            format_confusion(results),
            "",
            "not right",
            format_wrong(results),
        ]
    )


def main() -> None:
    """Print the figures, or one line per case."""
    parser = argparse.ArgumentParser(description="Accuracy of the CUDA check.", allow_abbrev=False)
    parser.add_argument("cases", type=Path, help="a file in the format of cuda_cases.toml")
    parser.add_argument("--json", action="store_true", help="one line of JSON per case")
    arguments = parser.parse_args()
    cases = tomllib.loads(arguments.cases.read_text("utf-8"))["case"]
    results = [judge_case(case) for case in cases]
    print("\n".join(map(to_json, results)) if arguments.json else report(results))


if __name__ == "__main__":
    main()
