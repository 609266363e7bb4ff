"""The types of a plan. Nothing in them means "default": every field says what will happen."""

import msgspec


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was decided, and why.

    Attributes:
        about: What it is about, as `base`.
        choice: What was chosen.
        reason: Why.

    """

    about: str
    choice: str
    reason: str


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """The image that an image stands on.

    Attributes:
        reference: What builds pull: host, name, tag and digest.
        name: The canonical name and tag, whatever mirror it is pulled from.
        digest: `sha256:` and 64 hex digits.
        official_python: Whether it is an official Python image, from which pip can be left out.

    """

    reference: str
    name: str
    digest: str
    official_python: bool


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """Packages that share a stage and an image layer.

    Attributes:
        name: The stage's name.
        pylock: The file that the stage installs, relative to the spec.
        note: How many packages and how much to download, in words.

    """

    name: str
    pylock: str
    note: str


class CondaLayer(msgspec.Struct, frozen=True, kw_only=True):
    """Conda packages, the image's Python among them, below the layers from PyPI.

    Attributes:
        file: The file that the stage installs, relative to the spec.
        note: How many packages and how much to download, in words.
        rattler_version: The py-rattler that installs them.
        rattler_requirement: That py-rattler with its hashes, as pip reads it.

    """

    file: str
    note: str
    rattler_version: str
    rattler_requirement: str


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How the container's health is probed. Times are in seconds."""

    command: tuple[str, ...]
    interval_s: int
    timeout_s: int
    start_period_s: int
    retries: int


class ImagePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is decided about one image.

    Attributes:
        name: The image's name.
        folder: Of its generated files, relative to the spec.
        python: Major and minor version.
        platforms: To build for.
        base: What it stands on.
        builder: The official Python whose pip installs uv in a stage of its own.
        uv_version: The uv that installs the layers.
        uv_requirement: That uv with its hashes, as pip reads it.
        build_options: What uv is told about source archives.
        conda: Conda packages; None where the base brings the Python.
        layers: Package layers from PyPI, the one that changes least first.
        copies: What comes from the project.
        workdir: Where it lands.
        entrypoint: What compares driver and GPU, and then runs the command; empty keeps the base
            image's.
        cuda_requirement: What it compares them with, as a text; empty without a GPU.
        command: What runs; empty keeps the base image's.
        ports: That the application listens on.
        env: Variables of the image, in the order in which they are written.
        labels: OCI labels, sorted.
        health: The health check; none where the self-test is off.
        certificates: Whether builds get the network's CA bundle.
        index: The package index of builds, whose login they may get; empty for PyPI.
        trusted_host: Its host where it is reached without TLS; else empty.
        decisions: All of the above that was a choice.

    """

    name: str
    folder: str
    python: str
    platforms: tuple[str, ...]
    base: Base
    builder: Base
    uv_version: str
    uv_requirement: str
    build_options: tuple[str, ...]
    conda: CondaLayer | None
    layers: tuple[Layer, ...]
    copies: tuple[str, ...]
    workdir: str
    entrypoint: tuple[str, ...]
    cuda_requirement: str
    command: tuple[str, ...]
    ports: tuple[int, ...]
    env: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    health: tuple[HealthCheck, ...]
    certificates: bool
    index: str
    trusted_host: str
    decisions: tuple[Decision, ...]

    @property
    def has_runtime(self) -> bool:
        """Whether the image holds envgen's own files: for its start, or as its health check."""
        return bool(self.health or self.entrypoint)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be written, for every image of a spec."""

    epoch: str
    spec_file: str
    images: tuple[ImagePlan, ...]
