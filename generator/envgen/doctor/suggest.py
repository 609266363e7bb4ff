"""The newest release of a framework that runs on a whole fleet, and how the spec gets it."""

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

    """

    package: str
    version: str
    cuda: str
    variant: str

    @property
    def requirement(self) -> str:
        """What to write into the spec's dependencies."""
        return f"{self.package}=={self.version}" + (f"+{self.variant}" if self.variant else "")


def suggest_release(package: str, hosts: tuple[Host, ...]) -> tuple[Suggestion, ...]:
    """Return the newest release that runs on all hosts: from PyPI, and from any index if newer.

    Args:
        package: A framework whose releases are in the tables, as `torch`.
        hosts: The fleet; a host that is only `unknown` to run does not count as running.

    """
    found: list[Suggestion] = []
    for candidate in _candidates(package):
        if found and candidate.variant:
            continue
        if all(_runs(candidate, host) for host in hosts):
            found.append(candidate)
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


def _runs(candidate: Suggestion, host: Host) -> bool:
    part = describe_wheel(candidate.package, candidate.version, parse_version(candidate.cuda))
    requirement = Requirement(name=candidate.requirement, components=(part,))
    return judge(requirement, host).outcome is Outcome.RUNS
