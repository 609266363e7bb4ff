"""What is compared, whatever it was written in."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Facts = Mapping[str, Mapping[str, str]]
"""Group, name, value: what deployments can differ in. Groups are image, lock, CUDA, env, gpus,
mounts, resources, user and replicas; one that is absent is one that nothing is known of."""


Kind = Literal["compose", "kubernetes", "engine", "ecs", "sagemaker", "devcontainer", "apptainer"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A container as somebody wrote it down, or as it runs.

    Attributes:
        file: Where it was found.
        image: The image's name in the spec.
        facts: What it gets.
        keys: Key paths of groups in that file, and of `GROUP.NAME` where it is another one.
        kind: What tells it; an engine tells the image's own variables and labels, too.

    """

    file: str
    image: str
    facts: dict[str, dict[str, str]]
    keys: dict[str, str]
    kind: Kind


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as declared.

    Attributes:
        file: Where it was found.
        key: The key path in it.
        about: What it is, as `env LOG_LEVEL`.
        found: What is there; empty for nothing.
        expected: What should be there; empty for nothing.
        image: The image.
        deployment: `dev`, `test` or `prod`; several where it is the same file.

    """

    file: str
    key: str
    about: str
    found: str
    expected: str
    image: str
    deployment: str
