"""What is said of one image on one host."""

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """Whether it runs."""

    RUNS = "runs"
    FAILS = "fails"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """How it fails, by what the user would see."""

    DRIVER_TOO_OLD = "driver-too-old"
    REQUIRE_CUDA_REFUSED = "require-cuda-refused"
    NO_KERNEL_IMAGE = "no-kernel-image"
    FORWARD_COMPAT_UNSUPPORTED_HW = "forward-compat-unsupported-hw"
    FORWARD_COMPAT_MIXED = "forward-compat-mixed"
    PTX_TOOLCHAIN = "ptx-toolchain"
    OTHER = "other"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, always with what is needed, what is there and what would help.

    Attributes:
        outcome: Whether it runs.
        kind: How it fails; None unless it fails.
        need: What the image needs.
        have: What the host has.
        fix: What to change; empty when it runs.
        rule: The name of the rule that decided.
        gpu: The GPU it is about; empty when it is about all of them.
        notes: What was assumed, or what is worth knowing although it runs.
        per_gpu: On a host with several different GPUs, the verdict for each.

    """

    outcome: Outcome
    need: str
    have: str
    kind: Kind | None = None
    fix: str = ""
    rule: str = ""
    gpu: str = ""
    notes: tuple[str, ...] = ()
    per_gpu: tuple["Verdict", ...] = ()

    @property
    def reason(self) -> str:
        """Need and have in one line."""
        return f"needs {self.need}; has {self.have}"


def fails(kind: Kind, *, need: str, have: str, fix: str, rule: str) -> Verdict:
    """Return a failure of one kind."""
    return Verdict(outcome=Outcome.FAILS, kind=kind, need=need, have=have, fix=fix, rule=rule)


def unknown(*, need: str, have: str, fix: str, rule: str) -> Verdict:
    """Return that the tables or the input do not decide; `fix` names what is missing."""
    return Verdict(outcome=Outcome.UNKNOWN, need=need, have=have, fix=fix, rule=rule)
