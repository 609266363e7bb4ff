"""The types of what manifests say. Sizes are in bytes, processors in thousandths."""

from typing import Final

import msgspec

NAMES: Final = ("dev", "test", "prod")
"""The deployments."""

UNPUBLISHED: Final = f"sha256:{'0' * 64}"
"""Stands for the digest of an image that nobody has pushed: of all digests the one that no content
is known to have, so that every engine refuses it and nothing runs by accident."""

USER: Final = 10001
"""The user and the group of every container, which each image has under the name `app`."""

HOME: Final = "/home/app"


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """Storage that outlives a container.

    Attributes:
        name: Its name.
        path: Where the container sees it.
        size: What a claim for it asks for.
        read_only: Whether the container may only read it.

    """

    name: str
    path: str
    size: int
    read_only: bool


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What a container gets. 0 stands for what the spec leaves to the platform.

    Attributes:
        name: `dev`, `test` or `prod`; empty for what the three have in common.
        env: Variables that it is started with, beside the image's own, in their order.
        cpus: Thousandths of a processor.
        memory: Bytes, beyond which it is ended.
        shm: Bytes of /dev/shm.
        gpus: How many.
        replicas: How many containers serve; 1 for a job.
        volumes: In the spec's order.

    """

    name: str
    env: tuple[tuple[str, str], ...]
    cpus: int
    memory: int
    shm: int
    gpus: int
    replicas: int
    volumes: tuple[Volume, ...]


class Expression(msgspec.Struct, frozen=True, kw_only=True):
    """A condition on a label of a node, as Kubernetes has it."""

    key: str
    operator: str
    values: tuple[str, ...]


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What manifests of an image say.

    Attributes:
        names: The targets that the spec asks for.
        project: The project's name, as a label can hold it.
        name: Of the objects that manifests make: project and image.
        repository: Where the image is pushed.
        digest: What manifests name it by.
        published: Whether anybody has pushed it.
        common: What all deployments have in common.
        deployments: `dev`, `test` and `prod`.
        affinity: What a node has to be without GPUs; any of these terms will do.
        gpu_affinity: What it has to be for a container with GPUs.
        ami: The InferenceAmiVersion of SageMaker; empty without a GPU, or where none will do.
        claims_shared: Whether several nodes write to a volume at the same time.

    """

    names: tuple[str, ...]
    project: str
    name: str
    repository: str
    digest: str
    published: bool
    common: Deployment
    deployments: tuple[Deployment, ...]
    affinity: tuple[tuple[Expression, ...], ...]
    gpu_affinity: tuple[tuple[Expression, ...], ...]
    ami: str
    claims_shared: bool

    @property
    def reference(self) -> str:
        """The image by its digest."""
        return f"{self.repository}@{self.digest}"

    def find(self, name: str) -> Deployment:
        """Return a deployment by its name."""
        return next(each for each in self.deployments if each.name == name)
