"""The one declaration of every option.

The parser (`spec.parse`), the JSON Schema and the option reference (`spec.schema`) all read these
types: a field's type, default, description and examples are written here and nowhere else.
`Meta.extra["form"]` names the check of `spec.forms` that its text has to pass.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

EPOCHS: Final = ("2026.11",)
"""Output styles, oldest first. Each has its folder of templates, which never changes again."""

FORMAT: Final = 1

Epoch = Literal["2026.11"]
LockerName = Literal["uv", "poetry", "conda-lock", "pip"]
Determinism = Literal["strict", "warn", "off"]
Platform = Literal["linux/amd64", "linux/arm64"]

Text = Annotated[str, Meta(extra={"form": "text"})]
ImageName = Annotated[str, Meta(extra={"form": "image-name"})]
ProjectName = Annotated[str, Meta(extra={"form": "project-name"})]
PythonVersion = Annotated[str, Meta(extra={"form": "python-version"})]
Requirement = Annotated[str, Meta(extra={"form": "requirement"})]
PackageName = Annotated[str, Meta(extra={"form": "package-name"})]
AgreedPackage = Annotated[str, Meta(extra={"form": "agreed-package"})]
Base = Annotated[str, Meta(extra={"form": "base"})]
CopyPath = Annotated[str, Meta(extra={"form": "copy-path"})]
ImagePath = Annotated[str, Meta(extra={"form": "image-path"})]
FilePath = Annotated[str, Meta(extra={"form": "file-path"})]
VariableName = Annotated[str, Meta(extra={"form": "variable-name"})]
IndexUrl = Annotated[str, Meta(extra={"form": "index-url"})]
RegistryHost = Annotated[str, Meta(extra={"form": "registry-host"})]
Moment = Annotated[str, Meta(extra={"form": "moment"})]
CudaVersion = Annotated[str, Meta(extra={"form": "cuda-version"})]
DriverBound = Annotated[str, Meta(extra={"form": "driver-bound"})]
GpuModel = Annotated[str, Meta(extra={"form": "gpu-model"})]
MatchSpec = Annotated[str, Meta(extra={"form": "match-spec"})]
CondaChannel = Annotated[str, Meta(extra={"form": "conda-channel"})]
Port = Annotated[int, Meta(ge=1, le=65535)]
PresetName = Annotated[str, Meta(extra={"form": "preset"})]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A TOML table: keys are written with hyphens, unknown ones are refused."""


class Project(_Table, frozen=True, kw_only=True):
    """What all images have in common. In a pyproject.toml this comes from its `[project]`."""

    name: Annotated[ProjectName, Meta(description="The project's name.", examples=["sentiment"])]
    python: Annotated[
        PythonVersion,
        Meta(
            description="The Python of every image: major and minor version. The patch level "
            "comes with the base image, which is pinned by digest.",
            examples=["3.13"],
        ),
    ]
    dependencies: Annotated[
        tuple[Requirement, ...],
        Meta(
            description="What every image needs, as PEP 508 requirements. Write them loose: the "
            "lock pins them.",
            examples=[["scikit-learn>=1.5", "fastapi"]],
        ),
    ] = ()
    agree: Annotated[
        tuple[AgreedPackage, ...],
        Meta(
            description='Packages that all images that have them hold at one version; `"*"` for '
            "every package that images share. Builds of one version (`+cu128`, `+cpu`) agree.",
            examples=[["torch", "numpy"]],
        ),
    ] = ()


class Defaults(_Table, frozen=True, kw_only=True):
    """What an image gets when it does not say otherwise."""

    determinism: Annotated[
        Determinism,
        Meta(
            description="What the image's self-test does when the same seeded work gives other "
            "bits: `strict` makes the container unhealthy, `warn` says so and stays healthy, "
            "`off` leaves the self-test out."
        ),
    ] = "strict"
    platforms: Annotated[
        tuple[Platform, ...],
        Meta(description="The platforms that images are locked and built for.", min_length=1),
    ] = ("linux/amd64",)


class Gpu(_Table, frozen=True, kw_only=True):
    """The GPUs that an image is meant for: `gpu = { targets = ["A100"], driver = ">=570" }`."""

    cuda: Annotated[
        CudaVersion,
        Meta(
            description="`auto` follows the packages in the lock; a version, as 12.8, is compared "
            "with what they carry. With conda-lock it is the CUDA of the hosts, which conda has to "
            "know.",
            examples=["12.8"],
        ),
    ] = "auto"
    targets: Annotated[
        tuple[GpuModel, ...],
        Meta(
            description="The GPU models that it has to run on. Rendering fails where the lock has "
            "no code for one of them.",
            examples=[["A100", "H100"]],
        ),
    ] = ()
    driver: Annotated[
        DriverBound | None,
        Meta(
            description="The oldest driver that it has to run on.",
            examples=[">=570"],
        ),
    ] = None
    required: Annotated[
        bool,
        Meta(
            description="Whether a container without a GPU ends at once. Otherwise it says that "
            "there is none, and goes on."
        ),
    ] = False


class Image(_Table, frozen=True, kw_only=True):
    """One image. Its name is the table's: `[images.serve]`."""

    preset: Annotated[
        PresetName | None,
        Meta(
            description="A bundled starting point; what is written beside it wins, and its "
            "dependencies are added.",
            examples=["sklearn-serve"],
        ),
    ] = None
    locker: Annotated[LockerName, Meta(description="The tool that resolves and pins.")] = "uv"
    base: Annotated[
        Base,
        Meta(
            description="`auto` lets envgen choose and say why, `slim` is the official slim "
            "Python image, anything else is an image reference; that image must bring the "
            "project's Python as `python3`.",
            examples=["auto", "docker.io/library/python:3.13-slim-trixie"],
        ),
    ] = "auto"
    dependencies: Annotated[
        tuple[Requirement, ...],
        Meta(
            description="What this image needs on top of the project's.",
            examples=[["uvicorn>=0.30"]],
        ),
    ] = ()
    groups: Annotated[
        tuple[PackageName, ...],
        Meta(
            description="Groups of `[dependency-groups]` that this image adds. Only in a "
            "pyproject.toml.",
            examples=[["serve"]],
        ),
    ] = ()
    extras: Annotated[
        tuple[PackageName, ...],
        Meta(
            description="Extras of `[project.optional-dependencies]` that this image adds. Only "
            "in a pyproject.toml.",
            examples=[["cli"]],
        ),
    ] = ()
    conda: Annotated[
        tuple[MatchSpec, ...],
        Meta(
            description="What conda installs beside the image's Python, as MatchSpecs; PyPI's "
            'packages are then chosen to fit. Only with `locker = "conda-lock"`.',
            examples=[["pytorch >=2.9", "mkl=2024.*"]],
        ),
    ] = ()
    channels: Annotated[
        tuple[CondaChannel, ...],
        Meta(
            description="The conda channels, the one that wins first. Only with "
            '`locker = "conda-lock"`.',
            examples=[["conda-forge", "https://conda.example/internal"]],
            min_length=1,
        ),
    ] = ("conda-forge",)
    allow_source: Annotated[
        tuple[PackageName, ...],
        Meta(
            description="Packages that may be built from a source archive because they have no "
            "wheel. Such a build is not reproducible and runs without a compiler.",
            examples=[["antlr4-python3-runtime"]],
        ),
    ] = ()
    gpu: Annotated[
        Gpu | None,
        Meta(description="What the image needs of a host's GPUs and driver; absent for none."),
    ] = None
    copy_: Annotated[
        tuple[CopyPath, ...],
        Meta(
            description="Files and folders that go into the image, relative to the spec. They "
            "keep their path below `workdir`; nothing else of the project enters the build.",
            examples=[["app/"]],
        ),
    ] = msgspec.field(default=(), name="copy")
    workdir: Annotated[
        ImagePath, Meta(description="The folder of the application in the image.")
    ] = "/app"
    command: Annotated[
        tuple[Text, ...],
        Meta(
            description="What the container runs, word by word; no shell is involved.",
            examples=[["uvicorn", "app.main:app", "--port", "8000"]],
        ),
    ] = ()
    port: Annotated[
        Port | None,
        Meta(description="The TCP port that the application listens on; its probe connects to it."),
    ] = None
    env: Annotated[
        dict[VariableName, Text],
        Meta(
            description="Environment variables of the image. Never put a secret here: every "
            "reader of the image sees them.",
            examples=[{"OMP_NUM_THREADS": "1"}],
        ),
    ] = msgspec.field(default_factory=dict)
    determinism: Annotated[
        Determinism | None,
        Meta(description="As `defaults.determinism`, for this image alone."),
    ] = None
    platforms: Annotated[
        tuple[Platform, ...],
        Meta(description="As `defaults.platforms`, for this image alone."),
    ] = ()


class Network(_Table, frozen=True, kw_only=True):
    """How to reach registries and package indexes. Credentials come from the environment only."""

    index: Annotated[
        IndexUrl | None,
        Meta(
            description="The package index to use instead of PyPI. Its user name and password "
            "come from ENVGEN_INDEX_USERNAME and ENVGEN_INDEX_PASSWORD.",
            examples=["https://packages.example/simple"],
        ),
    ] = None
    exclude_newer: Annotated[
        Moment | None,
        Meta(
            description="Ignore everything uploaded after this moment (RFC 3339, UTC).",
            examples=["2026-11-01T00:00:00Z"],
        ),
    ] = None
    ca_certificates: Annotated[
        FilePath | None,
        Meta(
            description="A PEM bundle for networks that inspect TLS. Builds get it as a secret; "
            "it is in no layer.",
            examples=["certs/corp.pem"],
        ),
    ] = None
    registry_mirrors: Annotated[
        dict[RegistryHost, RegistryHost],
        Meta(
            description="Registries and the hosts that images of theirs are pulled from instead.",
            examples=[{"docker.io": "mirror.example:5000"}],
        ),
    ] = msgspec.field(default_factory=dict)


class Spec(_Table, frozen=True, kw_only=True):
    """The whole of an `envgen.toml`, or of `[tool.envgen]` in a pyproject.toml."""

    format: Annotated[
        int, Meta(description="The version of this file's format.", ge=FORMAT, le=FORMAT)
    ]
    epoch: Annotated[
        Epoch,
        Meta(
            description="The output style. A newer envgen renders an old epoch byte for byte, so "
            "an upgrade of envgen alone changes nothing.",
        ),
    ]
    project: Annotated[Project, Meta(description="What all images have in common.")]
    defaults: Annotated[
        Defaults, Meta(description="What an image gets when it does not say otherwise.")
    ] = Defaults()
    images: Annotated[
        dict[ImageName, Image],
        Meta(description="The images, by name.", min_length=1),
    ]
    network: Annotated[Network, Meta(description="Networks that are not the open internet.")] = (
        Network()
    )
