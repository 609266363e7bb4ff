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
LockerName = Annotated[str, Meta(extra={"form": "locker"})]
Determinism = Literal["strict", "warn", "off"]
Platform = Literal["linux/amd64", "linux/arm64"]
Trim = Literal["tests", "headers", "static-libraries", "type-stubs"]
Target = Annotated[str, Meta(extra={"form": "target"})]
WorkloadName = Annotated[str, Meta(extra={"form": "workloads"})]

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
IndexName = Annotated[str, Meta(extra={"form": "index-name"})]
PackageFolder = Annotated[str, Meta(extra={"form": "package-folder"})]
RegistryHost = Annotated[str, Meta(extra={"form": "registry-host"})]
Moment = Annotated[str, Meta(extra={"form": "moment"})]
CudaVersion = Annotated[str, Meta(extra={"form": "cuda-version"})]
DriverBound = Annotated[str, Meta(extra={"form": "driver-bound"})]
GpuModel = Annotated[str, Meta(extra={"form": "gpu-model"})]
MatchSpec = Annotated[str, Meta(extra={"form": "match-spec"})]
CondaChannel = Annotated[str, Meta(extra={"form": "conda-channel"})]
Port = Annotated[int, Meta(ge=1, le=65535)]
Age = Annotated[str, Meta(extra={"form": "age"})]
PresetName = Annotated[str, Meta(extra={"form": "preset"})]
Size = Annotated[str, Meta(extra={"form": "size"})]
OsPackage = Annotated[str, Meta(extra={"form": "os-package"})]
OsArchive = Annotated[str, Meta(extra={"form": "os-archive"})]
OsArchiveUrl = Annotated[str, Meta(extra={"form": "os-archive-url"})]
Repository = Annotated[str, Meta(extra={"form": "repository"})]
Cpus = Annotated[str, Meta(extra={"form": "cpus"})]
VolumeName = Annotated[str, Meta(extra={"form": "volume-name"})]
ObjectUrl = Annotated[str, Meta(extra={"form": "object-url"})]
Count = Annotated[int, Meta(ge=0, le=1024)]


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
            description="`auto` follows the packages in the lock. With a version, as 12.8, torch "
            "and the packages around it come from PyTorch's index for that CUDA, and everything in "
            "the lock has to agree with it. With conda-lock it is the CUDA of the hosts, which "
            "conda has to know.",
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


class Volume(_Table, frozen=True, kw_only=True):
    """Storage that outlives a container: `data = { path = "/data", size = "100GiB" }`."""

    path: Annotated[ImagePath, Meta(description="Where the container sees it.", examples=["/data"])]
    size: Annotated[
        Size,
        Meta(description="What a claim for it asks a cluster for.", examples=["100GiB"]),
    ]
    read_only: Annotated[
        bool, Meta(description="Whether the container may only read it, as a data set.")
    ] = False


class Run(_Table, frozen=True, kw_only=True):
    """What a container of the image needs where it runs; manifests are rendered from it."""

    cpus: Annotated[
        Cpus | None,
        Meta(
            description="Processors, in thousandths at the finest. Kubernetes takes them for a "
            "request, Compose for a limit.",
            examples=["2", "0.5"],
        ),
    ] = None
    memory: Annotated[
        Size | None,
        Meta(description="Memory, beyond which a container is ended.", examples=["4GiB"]),
    ] = None
    shm_size: Annotated[
        Size | None,
        Meta(
            description="Shared memory at /dev/shm, through which workers of data loaders hand "
            "over batches. Engines give 64 MB otherwise.",
            examples=["8GiB"],
        ),
    ] = None
    gpus: Annotated[
        Count | None,
        Meta(description="GPUs: 1 where the image has a `gpu`, otherwise none.", examples=[4]),
    ] = None
    replicas: Annotated[
        Count | None,
        Meta(description="How many containers serve, of an image with a `port`.", examples=[2]),
    ] = None
    env: Annotated[
        dict[VariableName, Text],
        Meta(
            description="Environment variables that a container is started with, beside the "
            "image's own. Never a secret.",
            examples=[{"LOG_LEVEL": "info"}],
        ),
    ] = msgspec.field(default_factory=dict)
    volumes: Annotated[
        dict[VolumeName, Volume],
        Meta(
            description="Volumes by name.",
            examples=[{"data": {"path": "/data", "size": "100GiB"}}],
        ),
    ] = msgspec.field(default_factory=dict)
    checkpoints: Annotated[
        ObjectUrl | None,
        Meta(
            description="Where a training job keeps its checkpoints: object storage, because the "
            "file system of a container goes with it. The program reads it from "
            "ENVGEN_CHECKPOINTS.",
            examples=["s3://models.example/sentiment/checkpoints"],
        ),
    ] = None


class Image(_Table, frozen=True, kw_only=True):
    """One image. Its name is the table's: `[images.serve]`."""

    preset: Annotated[
        PresetName | None,
        Meta(
            description="A starting point; what is written beside it wins, and its dependencies "
            "are added. One of envgen's own by name, or one of others by a reference that cannot "
            "change: `git+https://git.example/team/presets@COMMIT#train.toml`, or "
            "`package:acme-presets==1.2.3#train`. docs/presets.md says more.",
            examples=["sklearn-serve"],
        ),
    ] = None
    locker: Annotated[
        LockerName,
        Meta(
            description="The tool that resolves and pins: `uv`, `poetry`, `conda-lock`, `pip`, or "
            "a plugin's (docs/plugins.md)."
        ),
    ] = "uv"
    base: Annotated[
        Base,
        Meta(
            description="`slim` is the official slim Python image. `cuda-runtime` adds the CUDA "
            "libraries of nvidia/cuda to it, `cuda-cudnn-runtime` those and cuDNN, `cuda-base` "
            "libcudart alone. `auto` is slim, with what of CUDA locked packages load and none of "
            "them brings; `envgen explain` says why. Anything else is an image reference; "
            "`python-from` says where its Python comes from.",
            examples=["auto", "docker.io/library/python:3.13-slim-trixie"],
        ),
    ] = "auto"
    python_from: Annotated[
        Literal["auto", "base", "official"],
        Meta(
            description="Where the Python of an own base comes from: `base` has it already, as "
            "`python3`; `official` copies it from an official Python image whose glibc is not "
            "newer than the base's. `auto` is `official` for bases that are known to have none: "
            "Debian, Ubuntu and nvidia/cuda."
        ),
    ] = "auto"
    shared: Annotated[
        bool,
        Meta(
            description="Whether other images may have this one as their `base`. Its labels then "
            "say which packages it has; images on top of it are locked to these versions and "
            "install only what is missing. docs/presets.md shows it."
        ),
    ] = False
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
    apt: Annotated[
        tuple[OsPackage, ...],
        Meta(
            description="Packages of the base's distribution, Debian or Ubuntu. They and what they "
            "need beside the base are locked with exact versions and hashes, from an archive that "
            "keeps every state it had; recommended packages are left out.",
            examples=[["libgl1", "git", "ffmpeg=7:7.1.1-1"]],
        ),
    ] = ()
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
    cpu_only: Annotated[
        bool,
        Meta(
            description="Take builds without CUDA: torch and the packages around it come from "
            "PyTorch's index for CPUs, gigabytes smaller. Not beside `gpu`."
        ),
    ] = False
    install: Annotated[
        tuple[PackageFolder, ...],
        Meta(
            description="Packages of the project's own, each the folder of a pyproject.toml with a "
            "build system, or `.` for the project itself. The build makes wheels of them; what "
            "they depend on is locked with the rest. What belongs to one another is found by "
            "itself: workspace members and paths of `[tool.uv.sources]`.",
            examples=[["libs/features"]],
        ),
    ] = ()
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
    workloads: Annotated[
        tuple[WorkloadName, ...],
        Meta(
            description="Frameworks that plugins bring work for, by the name that they are "
            "imported by: the self-test runs it beside its own (docs/plugins.md).",
            examples=[["sklearn"]],
        ),
    ] = ()
    platforms: Annotated[
        tuple[Platform, ...],
        Meta(description="As `defaults.platforms`, for this image alone."),
    ] = ()
    max_size: Annotated[
        Size | None,
        Meta(
            description="What the image may weigh unpacked, on each platform. Rendering fails "
            "where the locked packages alone are above it, and a build where the image is. MB and "
            "GB are powers of ten.",
            examples=["2GB"],
        ),
    ] = None
    trim: Annotated[
        tuple[Trim, ...],
        Meta(
            description="What of the packages is left out of the image. Each can break programs "
            "that do use it; docs/images.md says which.",
            examples=[["tests", "static-libraries"]],
        ),
    ] = ()
    targets: Annotated[
        tuple[Target, ...],
        Meta(
            description="Where the image runs: for each, manifests are rendered beside its "
            "Dockerfile. `compose`, `kubernetes`, `sagemaker`, `apptainer`, `ecs`, `devcontainer` "
            "(docs/targets.md shows them), or a plugin's.",
            examples=[["compose", "kubernetes"]],
        ),
    ] = ()
    repository: Annotated[
        Repository | None,
        Meta(
            description="Where the image is pushed, without tag: manifests name it by the digest "
            "that it has there.",
            examples=["registry.example/team/serve"],
        ),
    ] = None
    run: Annotated[Run, Meta(description="What a container of the image needs where it runs.")] = (
        Run()
    )


class Deployments(_Table, frozen=True, kw_only=True):
    """Where development, test and production differ, image by image: `[deployments.prod.serve]`.

    What is not written here is the same in all three, and `envgen parity` holds them to it.
    """

    dev: Annotated[
        dict[ImageName, Run],
        Meta(
            description="What is other than `[images.NAME.run]` in development; variables and "
            "volumes are added to those there.",
            examples=[{"serve": {"gpus": 0}}],
        ),
    ] = msgspec.field(default_factory=dict)
    test: Annotated[dict[ImageName, Run], Meta(description="As `dev`, in test.")] = msgspec.field(
        default_factory=dict
    )
    prod: Annotated[
        dict[ImageName, Run],
        Meta(description="As `dev`, in production.", examples=[{"serve": {"replicas": 3}}]),
    ] = msgspec.field(default_factory=dict)


class Index(_Table, frozen=True, kw_only=True):
    """A package index beside the default one. Its name is the table's: `[network.indexes.acme]`."""

    url: Annotated[
        IndexUrl,
        Meta(
            description="Its address. Under the name `pytorch` it is a mirror of "
            "https://download.pytorch.org/whl, to which `/cu128` and the like are added. Its user "
            "name and password come from ENVGEN_INDEX_NAME_USERNAME and "
            "ENVGEN_INDEX_NAME_PASSWORD, with the index's name in capitals.",
            examples=["https://packages.example/internal/simple"],
        ),
    ]
    packages: Annotated[
        tuple[PackageName, ...],
        Meta(
            description="What images take from there, and from nowhere else. Nothing else is asked "
            "of it.",
            examples=[["acme-models"]],
        ),
    ] = ()
    upload_times: Annotated[
        bool,
        Meta(
            description="Whether it tells when files were uploaded (PEP 700). `exclude-newer` "
            "passes over the packages of an index that does not."
        ),
    ] = False


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
    indexes: Annotated[
        dict[IndexName, Index],
        Meta(description="Further package indexes, by name, each for the packages it names."),
    ] = msgspec.field(default_factory=dict)
    exclude_newer: Annotated[
        Moment | None,
        Meta(
            description="Ignore everything uploaded after this moment (RFC 3339, UTC).",
            examples=["2026-11-01T00:00:00Z"],
        ),
    ] = None
    apt_snapshot: Annotated[
        Moment | None,
        Meta(
            description="The moment whose OS packages are taken. Without it `exclude-newer`, else "
            "the last midnight (UTC) when they are first locked; `lock --upgrade` moves that one.",
            examples=["2026-11-01T00:00:00Z"],
        ),
    ] = None
    apt_archives: Annotated[
        dict[OsArchive, OsArchiveUrl],
        Meta(
            description="Mirrors of the dated archives: of `debian`, `debian-security` and "
            "`ubuntu`. `{moment}` stands for the moment, as 20261101T000000Z.",
            examples=[{"debian": "https://mirror.example/archive/debian/{moment}"}],
        ),
    ] = msgspec.field(default_factory=dict)
    apt_keyring: Annotated[
        FilePath | None,
        Meta(
            description="The keys that sign these archives, where they are not the distribution's "
            "own: a keyring as gpgv reads it. With it, a signature has to be there and to be good.",
            examples=["certs/archive.gpg"],
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
    isolate_builds: Annotated[
        bool,
        Meta(
            description="Take the network from every build step that downloads nothing "
            "(`RUN --network=none`). Needs Docker 23 or newer, or buildah."
        ),
    ] = False
    registry_mirrors: Annotated[
        dict[RegistryHost, RegistryHost],
        Meta(
            description="Registries and the hosts that images of theirs are pulled from instead.",
            examples=[{"docker.io": "mirror.example:5000"}],
        ),
    ] = msgspec.field(default_factory=dict)


class Policy(_Table, frozen=True, kw_only=True):
    """What `envgen audit` refuses. Rendering and building know nothing of it."""

    fail_on: Annotated[
        Literal["none", "low", "moderate", "high", "critical"],
        Meta(
            description="The mildest rating of a vulnerability that fails an audit. One that "
            "nobody has rated fails it too, unless this is `none`.",
        ),
    ] = "high"
    max_age: Annotated[
        Age | None,
        Meta(
            description="How long an image's packages may stay as they are, in days or weeks: "
            "since the commit that last changed them.",
            examples=["90d", "12w"],
        ),
    ] = None
    ignore: Annotated[
        dict[Text, Text],
        Meta(
            description="Vulnerabilities that were looked at and accepted, by any of their names, "
            "each with the reason.",
            examples=[{"CVE-2026-0001": "the affected function is never called"}],
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
    policy: Annotated[Policy, Meta(description="What `envgen audit` refuses.")] = Policy()
    deployments: Annotated[
        Deployments, Meta(description="Where development, test and production differ.")
    ] = Deployments()
