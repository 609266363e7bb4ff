"""Whether an audit keeps to the spec's `[policy]`."""

from collections.abc import Iterator

from envgen.audit.advisory import SEVERITIES, Advisory
from envgen.audit.image import ImageAudit
from envgen.errors import Problem
from envgen.spec.model import Policy


def find_violations(
    audit: ImageAudit, policy: Policy, *, file: str, prefix: str
) -> Iterator[Problem]:
    """Yield what breaks the policy.

    Args:
        audit: Of one image.
        policy: The spec's.
        file: The spec's file name.
        prefix: What key paths begin with in that file.

    """
    for package in audit.vulnerable:
        for advisory in package.advisories:
            if is_grave(advisory, policy):
                yield Problem(
                    what=f"{audit.image}: {package.name} {package.version} has {advisory.id} "
                    f"({advisory.severity})",
                    file=file,
                    key=f"{prefix}policy.fail-on",
                    why=advisory.summary,
                    fix=_advise(package.name, advisory),
                )
    limit = policy.max_age
    if limit is not None and audit.age_days is not None and audit.age_days > limit_days(limit):
        yield Problem(
            what=f"{audit.image}: its packages were locked {audit.age_days} days ago",
            file=file,
            key=f"{prefix}policy.max-age",
            why=f"the policy allows {limit_days(limit)} days",
            fix=f"run `python -m envgen lock {audit.image} --upgrade`",
        )


def is_grave(advisory: Advisory, policy: Policy) -> bool:
    """Tell whether an advisory fails an audit. One that nobody has rated may be anything."""
    if policy.fail_on == "none" or set(advisory.aliases) & set(policy.ignore):
        return False
    return SEVERITIES.index(advisory.severity) >= SEVERITIES.index(policy.fail_on)


def limit_days(age: str) -> int:
    """Return the days of an age that the spec wrote, as `90d` or `12w`."""
    return int(age[:-1]) * (7 if age.endswith("w") else 1)


def _advise(name: str, advisory: Advisory) -> str:
    if advisory.fixed:
        return f"{advisory.fixed} has it fixed: `python -m envgen lock --upgrade {name}`"
    return f'no release has it fixed; accept it with policy.ignore."{advisory.id}" = "why"'
