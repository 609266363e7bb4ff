"""The types of a plan. Nothing in them means "default": every field says what will happen."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    # Values of few plans; importing their types costs every check.
    from envgen.lockers.indexes import PackageIndex
    from envgen.plan.targets.model import Targets


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


class OwnPackages(msgspec.Struct, frozen=True, kw_only=True):
    """The project's own packages, built to wheels in a stage and installed in a layer.

    Attributes:
        names: What is installed.
        folders: Where each one's pyproject.toml is, relative to the spec.
        files: What of the project enters the build for them.
        scratch: What a build on somebody's machine may have left among them.
        build_file: What pins the tools of their build, relative to the spec.

    """

    names: tuple[str, ...]
    folders: tuple[str, ...]
    files: tuple[str, ...]
    scratch: tuple[str, ...]
    build_file: str


class SystemCuda(msgspec.Struct, frozen=True, kw_only=True):
    """CUDA libraries that no package brings, in a layer of their own.

    Attributes:
        source: The image of nvidia/cuda that they are taken from.
        note: Who loads them, in words.

    """

    source: Base
    note: str


class AptLayer(msgspec.Struct, frozen=True, kw_only=True):
    """OS packages, in a layer of their own.

    Attributes:
        file: The file that pins them, relative to the spec.
        note: What is asked for, how many packages that makes and how much to download, in words.

    """

    file: str
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
        python_source: The official Python that is copied into the image; None where its base, or
            conda, brings one.
        extended: Whether the base is an image of envgen, whose environment is added to.
        uv_version: The uv that installs the layers.
        uv_requirement: That uv with its hashes, as pip reads it.
        build_options: What uv is told about source archives.
        max_bytes: What it may weigh unpacked; 0 for anything.
        dropped: Patterns of files that layers leave out.
        bundle: The folder that everything is taken from in a build without a network; else empty.
        isolated: Whether steps that download nothing run without network.
        system_cuda: CUDA libraries out of another image; None where nothing needs them.
        hides_compat: Whether the base's cuda-compat is kept from the container toolkit.
        apt: OS packages; None without.
        conda: Conda packages; None where the base brings the Python.
        layers: Package layers from PyPI, the one that changes least first.
        git: Packages from commits of git; None without.
        own: The project's own packages; None without.
        copies: What comes from the project.
        workdir: Where it lands.
        entrypoint: What compares driver and GPU, and then runs the command; empty keeps the base
            image's.
        cuda_requirement: What it compares them with, as a text; empty without a GPU.
        command: What runs; empty keeps the base image's.
        ports: That the application listens on.
        env: Variables of the image, in the order in which they are written.
        labels: OCI labels, sorted.
        lock_sha256: Of the image's lock, as the self-test names it.
        frameworks: What the self-test has to find, by name, with versions.
        health: The health check; none where the self-test is off.
        certificates: Whether builds get the network's CA bundle.
        index: The package index of builds, whose login they may get; empty for PyPI.
        indexes: Further indexes that the spec declares, whose logins they may get as well.
        trusted_host: Its host where it is reached without TLS; else empty.
        targets: What manifests say; None without any.
        writable: Folders that volumes are mounted on, which the user may write.
        root: Whether the image leaves the user to whoever starts it.
        decisions: All of the above that was a choice.

    """

    name: str
    folder: str
    python: str
    platforms: tuple[str, ...]
    base: Base
    builder: Base
    python_source: Base | None
    extended: bool
    uv_version: str
    uv_requirement: str
    build_options: tuple[str, ...]
    max_bytes: int
    dropped: tuple[str, ...]
    bundle: str
    isolated: bool
    system_cuda: SystemCuda | None
    hides_compat: bool
    apt: AptLayer | None
    conda: CondaLayer | None
    layers: tuple[Layer, ...]
    git: Layer | None
    own: OwnPackages | None
    copies: tuple[str, ...]
    workdir: str
    entrypoint: tuple[str, ...]
    cuda_requirement: str
    command: tuple[str, ...]
    ports: tuple[int, ...]
    env: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    lock_sha256: str
    frameworks: tuple[tuple[str, str], ...]
    health: tuple[HealthCheck, ...]
    certificates: bool
    index: str
    indexes: "tuple[PackageIndex, ...]"
    trusted_host: str
    targets: "Targets | None"
    writable: tuple[str, ...]
    root: bool
    decisions: tuple[Decision, ...]

    @property
    def has_logins(self) -> bool:
        """Whether a build may need a login to fetch packages."""
        return bool(self.index or self.indexes)

    @property
    def has_system(self) -> bool:
        """Whether something of the system is changed: an image of envgen has its user already."""
        return not self.extended or self.hides_compat or bool(self.writable)

    @property
    def has_runtime(self) -> bool:
        """Whether the image holds envgen's own files: for its start, or as its health check."""
        return bool(self.health or self.entrypoint or self.root)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be written, for every image of a spec."""

    epoch: str
    spec_file: str
    images: tuple[ImagePlan, ...]
