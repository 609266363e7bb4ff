"""Verdicts in words: one host at length, a fleet as a table, either for machines."""

from typing import Any

import msgspec

from envgen.cuda.host import Host
from envgen.cuda.verdict import Outcome, Verdict


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one image on one host."""

    subject: str
    host: Host
    verdict: Verdict

    @property
    def place(self) -> str:
        return self.host.name or "the host"

    @property
    def word(self) -> str:
        """The verdict in a word, with the kind of a failure."""
        return word_of(self.verdict)


def describe(findings: tuple[Finding, ...]) -> str:
    """Return every finding with need, have and fix."""
    return "\n".join(_describe(finding) for finding in findings)


def _describe(finding: Finding) -> str:
    verdict = finding.verdict
    lines = [f"{finding.subject} on {finding.place}: {finding.word}"]
    lines += [f"  need: {verdict.need}", f"  have: {verdict.have}"]
    if verdict.fix:
        lines.append(f"  fix:  {verdict.fix}")
    lines += [f"  note: {note}" for note in (*verdict.notes, *finding.host.faults)]
    lines += [f"  {_describe_gpu(each)}" for each in verdict.per_gpu]
    return "\n".join(lines)


def _describe_gpu(verdict: Verdict) -> str:
    gpu = verdict.gpu or "GPU"
    if verdict.outcome is Outcome.RUNS:
        return f"{gpu}: runs"
    return f"{gpu}: {word_of(verdict)}: needs {verdict.need}"


def word_of(verdict: Verdict) -> str:
    """Return a verdict in a word, with the kind of a failure."""
    return f"{verdict.outcome}: {verdict.kind}" if verdict.kind else str(verdict.outcome)


def tabulate(findings: tuple[Finding, ...], *, markdown: bool) -> str:
    """Return a table with a row per image and a column per host, then what fails and why."""
    places = list(dict.fromkeys(finding.place for finding in findings))
    words = {(finding.subject, finding.place): finding.word for finding in findings}
    subjects = dict.fromkeys(finding.subject for finding in findings)
    rows = [["", *places]]
    rows += [[subject, *(words[subject, place] for place in places)] for subject in subjects]
    table = _markdown_table(rows) if markdown else _text_table(rows)
    failures = tuple(f for f in findings if f.verdict.outcome is not Outcome.RUNS)
    return f"{table}\n\n{_describe_alike(failures)}" if failures else table


def _describe_alike(findings: tuple[Finding, ...]) -> str:
    """Return findings with need, have and fix; those that differ in their host only, together."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        verdict = finding.verdict
        gpus = (_describe_gpu(each) for each in verdict.per_gpu)
        key = (finding.subject, finding.word, verdict.need, *gpus)
        groups.setdefault(key, []).append(finding)
    return "\n".join(_describe_group(group) for group in groups.values())


def _describe_group(group: list[Finding]) -> str:
    first, *more = group
    if not more:
        return _describe(first)
    verdict = first.verdict
    places = ", ".join(finding.place for finding in group)
    lines = [f"{first.subject} on {places}: {first.word}", f"  need: {verdict.need}"]
    lines += [f"  have: {finding.verdict.have} ({finding.place})" for finding in group]
    fixes = dict.fromkeys(finding.verdict.fix for finding in group)
    lines += [f"  fix:  {fix}" for fix in fixes if fix]
    lines += [f"  {_describe_gpu(each)}" for each in verdict.per_gpu]
    return "\n".join(lines)


def _text_table(rows: list[list[str]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _markdown_table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def to_data(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """Return the findings as JSON has them."""
    return [
        {
            "image": finding.subject,
            "host": finding.place,
            **_answer(finding.verdict),
            "notes": [*finding.verdict.notes, *finding.host.faults],
            "gpus": [{"gpu": each.gpu, **_answer(each)} for each in finding.verdict.per_gpu],
        }
        for finding in findings
    ]


def _answer(verdict: Verdict) -> dict[str, str | None]:
    return {
        "verdict": str(verdict.outcome),
        "kind": str(verdict.kind) if verdict.kind else None,
        "need": verdict.need,
        "have": verdict.have,
        "fix": verdict.fix,
    }
