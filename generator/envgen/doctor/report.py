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
        kind = self.verdict.kind
        return f"{self.verdict.outcome}: {kind}" if kind else str(self.verdict.outcome)


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
    lines += [f"  {each.gpu or 'GPU'}: {each.outcome}" for each in verdict.per_gpu]
    return "\n".join(lines)


def tabulate(findings: tuple[Finding, ...], *, markdown: bool) -> str:
    """Return a table with a row per image and a column per host, then what fails and why."""
    places = list(dict.fromkeys(finding.place for finding in findings))
    words = {(finding.subject, finding.place): finding.word for finding in findings}
    subjects = dict.fromkeys(finding.subject for finding in findings)
    rows = [["", *places]]
    rows += [[subject, *(words[subject, place] for place in places)] for subject in subjects]
    table = _markdown_table(rows) if markdown else _text_table(rows)
    failures = tuple(f for f in findings if f.verdict.outcome is not Outcome.RUNS)
    return f"{table}\n\n{describe(failures)}" if failures else table


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
            "verdict": str(finding.verdict.outcome),
            "kind": str(finding.verdict.kind) if finding.verdict.kind else None,
            "need": finding.verdict.need,
            "have": finding.verdict.have,
            "fix": finding.verdict.fix,
            "notes": [*finding.verdict.notes, *finding.host.faults],
            "gpus": [
                {"gpu": each.gpu, "verdict": str(each.outcome)} for each in finding.verdict.per_gpu
            ],
        }
        for finding in findings
    ]
