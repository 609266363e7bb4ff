"""Where a container is not what the spec declares."""

from collections.abc import Iterator
from typing import Final

from envgen.parity.expected import describe_expected, targets_of
from envgen.parity.model import Difference, Found
from envgen.plan.model import ImagePlan
from envgen.plan.targets.model import NAMES, Deployment

_WORDS: Final = {
    "env": "environment",
    "mounts": "mount",
    "resources": "resource",
    "gpus": "GPU",
}


def compare(image: ImagePlan, run: Deployment, found: Found) -> Iterator[Difference]:
    """Yield every difference between what a container gets and what it should get."""
    expected = describe_expected(image, run, found.kind)
    # Variables of a base that is not the official Python are in the image, and in no plan.
    open_env = found.kind == "engine" and not image.base.official_python
    for group, facts in found.facts.items():
        wanted = expected[group]
        names = wanted if group == "env" and open_env else dict.fromkeys([*wanted, *facts])
        for name in names:
            if facts.get(name) != wanted.get(name):
                yield Difference(
                    file=found.file,
                    key=_write_key(found, group, name),
                    about=_write_about(group, name),
                    found=facts.get(name, ""),
                    expected=wanted.get(name, ""),
                    image=image.name,
                    deployment=run.name,
                )


def _write_key(found: Found, group: str, name: str) -> str:
    special = found.keys.get(f"{group}.{name}")
    if special:
        return special
    key = found.keys[group]
    return key if name in {"digest", "count", "user", "replicas"} else f"{key}.{name}"


def _write_about(group: str, name: str) -> str:
    if name in {"digest", "count", "user", "replicas"}:
        return {"image": "image digest", "gpus": "GPUs"}.get(group, group)
    return f"{_WORDS.get(group, group)} {name}"


def describe_difference(difference: Difference) -> str:
    """Return a difference for people, on one line."""
    where = f" ({difference.deployment})" if difference.deployment else ""
    return (
        f"{difference.file}: {difference.key}: {difference.about} of {difference.image}{where}: "
        f"found {difference.found or 'nothing'}, expected {difference.expected or 'nothing'}"
    )


def list_allowed(image: ImagePlan) -> tuple[str, ...]:
    """Return where the spec lets the deployments of an image differ, a line for each."""
    targets = targets_of(image)
    facts = {name: describe_expected(image, targets.find(name), "kubernetes") for name in NAMES}
    lines = []
    for group in facts[NAMES[0]]:
        names = dict.fromkeys(key for name in NAMES for key in facts[name][group])
        for key in names:
            values = [facts[name][group].get(key, "nothing") for name in NAMES]
            if len(set(values)) > 1:
                told = ", ".join(
                    f"{name} {value}" for name, value in zip(NAMES, values, strict=True)
                )
                lines.append(f"{_write_about(group, key)}: {told}")
    return tuple(lines)
