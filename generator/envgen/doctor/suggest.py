"""The newest release of a framework that runs on a whole fleet."""

from collections.abc import Iterator

import msgspec

from envgen.cuda.host import Host
from envgen.cuda.judge import judge
from envgen.cuda.requirement import Requirement
from envgen.cuda.tables import tables
from envgen.cuda.verdict import Outcome
from envgen.cuda.version import parse_version
from envgen.cuda.wheels import describe_wheel


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A release that runs on every host.

    Attributes:
        package: The framework.
        version: Its release.
        cuda: The CUDA that it carries.
        variant: Its wheel's local version (`cu126`); empty for the wheel that PyPI serves.
        newer: Why the next newer wheel is not it; empty where this is the newest.

    """

    package: str
    version: str
    cuda: str
    variant: str
    newer: str = ""

    @property
    def requirement(self) -> str:
        """The wheel, as `torch==2.9.1+cu126`."""
        return f"{self.package}=={self.version}" + (f"+{self.variant}" if self.variant else "")


def known_frameworks() -> tuple[str, ...]:
    """Return the packages whose releases are in the tables."""
    return tuple(sorted({row.package for row in tables().defaults}))


def suggest_release(package: str, hosts: tuple[Host, ...]) -> tuple[Suggestion, ...]:
    """Return the newest release that runs on all hosts: from PyPI, and from any index if newer.

    Args:
        package: A framework whose releases are in the tables, as `torch`.
        hosts: The fleet; a host that is only `unknown` to run does not count as running.

    """
    found: list[Suggestion] = []
    newer = ""
    for candidate in _candidates(package):
        if found and candidate.variant:
            continue
        objection = _objection(candidate, hosts)
        if objection:
            newer = objection
            continue
        found.append(msgspec.structs.replace(candidate, newer=newer))
        if not candidate.variant:
            break
    return tuple(found)


def _candidates(package: str) -> Iterator[Suggestion]:
    """Yield the releases newest first, of each the wheel of PyPI before its variants."""
    served = {row.version: row.cuda for row in tables().defaults if row.package == package}
    rows = [row for row in tables().kernels if row.package == package and row.machine == "x86_64"]
    for version in sorted(served, key=parse_version, reverse=True):
        yield Suggestion(package=package, version=version, cuda=served[version], variant="")
        series = parse_version(version).release
        variants = {r.cuda for r in rows if r.version in {version, str(series)}} - {served[version]}
        for cuda in sorted(variants, key=parse_version, reverse=True):
            variant = "cu" + cuda.replace(".", "")
            yield Suggestion(package=package, version=version, cuda=cuda, variant=variant)


def _objection(candidate: Suggestion, hosts: tuple[Host, ...]) -> str:
    """Return why a release does not run on some host; empty where it runs on all."""
    part = describe_wheel(candidate.package, candidate.version, parse_version(candidate.cuda))
    requirement = Requirement(name=candidate.requirement, components=(part,))
    for host in hosts:
        verdict = judge(requirement, host)
        if verdict.outcome is not Outcome.RUNS:
            return f"{candidate.requirement} on {host.name or 'the host'}: {verdict.reason}"
    return ""
