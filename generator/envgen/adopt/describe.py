"""What `init` read, took and left, in lines for a person."""

from collections.abc import Iterable, Iterator

from envgen.adopt.code import Code
from envgen.adopt.found import Found, Left
from envgen.adopt.preset import Proposal
from envgen.adopt.python import choose_python
from envgen.spec.load import SPEC_FILE


def describe(found: Found, written: Iterable[str], *, unread: Iterable[str]) -> Iterator[str]:
    """Yield what was read, what was carried over, and what was not."""
    if not found.sources:
        yield "there is no dependency file here; the spec is the smallest one"
    else:
        yield f"read {', '.join(found.sources)}"
    others = ", ".join(unread)
    if others:
        yield f"not read: {others} (name one with --from to start from it instead)"
    yield from _describe_carried(found)
    yield from (f"  the pins of {found.native}, in {path}" for path in written if path != SPEC_FILE)
    if found.left:
        yield f"not carried over ({len(found.left)}):"
        for left in found.left:
            yield from _describe_left(left)


def describe_proposal(found: Found, proposal: Proposal, code: Code) -> Iterator[str]:
    """Yield which preset was taken or would suit, how the code is started, and why."""
    if found.preset and found.preset == proposal.preset:
        yield f"preset {found.preset}, because of {proposal.why}"
    elif found.preset:
        yield f"preset {found.preset}, as asked for"
    elif proposal.preset:
        yield f"preset {proposal.preset} would suit, because of {proposal.why}"
        if proposal.against:
            yield f"  but {proposal.against}; --preset {proposal.preset} takes it all the same"
    if found.copy:
        yield f"copied into the image: {', '.join(found.copy)}; add to `copy` what else it reads"
    elif found.copy is not None:
        yield "nothing is copied into the image yet: name the code in `copy` once it is here"
    if found.command:
        yield f"it runs: {' '.join(found.command)}"
    if found.gpu and code.cuda:
        yield f"it is for GPUs, because {code.cuda} names CUDA; remove `gpu` if it is not"


def _describe_carried(found: Found) -> Iterator[str]:
    python, trouble = choose_python(found.python)
    yield "carried over:"
    if trouble:
        yield f"  Python {python} instead of {found.python!r}: {trouble}"
    elif found.python:
        yield f"  Python {python}, the newest that {found.python!r} admits"
    else:
        yield f"  Python {python}, the newest with a known base image: no file says which"
    count = len(found.dependencies)
    pins = f", and {len(found.pins)} pins of what they need" if found.pins else ""
    yield f"  {count} requirement{'' if count == 1 else 's'}{pins}"
    if found.conda:
        channels = ", ".join(found.channels) or "conda-forge"
        yield f"  {len(found.conda)} conda packages from {channels}"
    if found.locker != "uv":
        yield f"  {found.locker} as the image's locker (--locker uv for uv)"
    if found.index:
        yield f"  the index {found.index}"
    if found.env:
        yield f"  the variables {', '.join(found.env)}"
    if found.gpu:
        yield "  that a GPU is needed"


def _describe_left(left: Left) -> Iterator[str]:
    yield f"  {left.where}: {left.what}"
    yield f"    why: {left.why}"
    if left.fix:
        yield f"    fix: {left.fix}"
