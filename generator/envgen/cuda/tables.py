"""What is known about drivers, toolkits, GPUs and packages, from `presets/data/cuda`.

Every row names its source; `verified = false` marks what could not be checked. The loader refuses
a row that lacks a field or has one too many.
"""

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from envgen.cuda.host import Category
from envgen.cuda.requirement import CompatLoading, Machine
from envgen.errors import EnvgenError
from envgen.resources import PRESETS

FOLDER: Final = PRESETS / "data" / "cuda"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of any table."""

    source: str
    verified: bool


class Toolkit(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CUDA release and the driver it came with; an empty driver is not known or not bundled."""

    version: str
    linux_driver: str
    windows_driver: str


class MinorCompatibility(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The oldest driver on which everything built with a major version runs."""

    major: int
    linux_driver: str
    windows_driver: str


class Branch(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A driver branch and the newest CUDA that it supports."""

    branch: int
    cuda: str


class CompatPackage(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A forward-compatibility package, its own driver branch, and the branches it works on."""

    cuda: str
    driver: int
    branches: tuple[int, ...]


class Architecture(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GPU architecture; empty or 0 means no limit known."""

    capability: str
    family: str
    cuda_first: str
    cuda_last: str
    driver_first: int
    driver_last: int
    integrated: bool


class GpuModel(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GPU as a user would name it."""

    name: str
    capability: str
    category: Category


class KernelRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The GPU code of one build of a package."""

    package: str
    version: str
    cuda: str
    machine: Machine
    sass: tuple[str, ...]
    ptx: tuple[str, ...]


class Label(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One edition of the NVIDIA_REQUIRE_CUDA of nvidia/cuda images."""

    cuda: str
    since: str
    allow: dict[str, tuple[str, ...]]


class ImageFamily(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an image's name says about it."""

    pattern: str
    versions: str
    label: Literal["newest", "any", "exact", "loose", "none"]
    compat: CompatLoading
    software: str


class Software(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that compiles GPU code at run time, or whose kernels follow from its toolkit."""

    name: str
    versions: str
    at_runtime: bool
    kernels: str


class Bundle(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part inside a package that is built for other GPUs than the rest of it.

    Its kernels are the rows of `part`; it is used on GPUs from `used_from` on.
    """

    package: str
    versions: str
    part: str
    used_from: str


class NgcRelease(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A monthly release of NVIDIA's NGC images, and the CUDA in it."""

    release: str
    cuda: str


class DefaultTarget(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a build contains when nobody names an architecture."""

    name: str
    toolkit: int
    sass: tuple[str, ...]
    ptx: tuple[str, ...]


class CudnnRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which cuDNN on, for which CUDA major version, which GPUs are served."""

    first: str
    cuda: int
    capability_min: str


class Need(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a package needs beside its own files.

    Attributes:
        package: Its name.
        versions: Those of it that the row is about, as a range; empty for all.
        machines: The processors whose wheels need it.
        unless: Packages that bring it.
        image: The smallest flavour of nvidia/cuda that brings it; empty where none does.
        cuda: The CUDA that the image has to have, as its major version; empty for any.
        cudnn: Likewise its cuDNN.
        what: What is missing.
        fix: What to change in the spec instead.
        fix_bytes: What that downloads on x86_64; 0 where that is not known.
        apt: OS packages that bring it, where the image has all of them.

    """

    package: str
    versions: str
    machines: tuple[Machine, ...]
    unless: tuple[str, ...]
    image: Literal["", "runtime", "cudnn-runtime"]
    cuda: str
    cudnn: str
    what: str
    fix: str
    fix_bytes: int
    apt: tuple[str, ...]


Flavour = Literal["base", "runtime", "cudnn-runtime"]


class SystemImage(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image of nvidia/cuda that CUDA libraries can be taken from.

    Attributes:
        cuda: The release of its CUDA.
        flavour: What it has of it: the runtime alone, all libraries, or cuDNN as well.
        image: Its full reference; bases.toml has a row for it.
        distro: The `id` of a row of bases.toml's `distros`.
        cudnn: Its cuDNN; empty where there is none.
        nccl: Its NCCL; empty where there is none or its version is not known.
        amd64_bytes: Compressed; 0 where that is not known.

    """

    cuda: str
    flavour: Flavour
    image: str
    distro: str
    cudnn: str
    nccl: str
    amd64_bytes: int


class IndexDefault(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The CUDA of a package's release on PyPI where no variant is named."""

    package: str
    version: str
    cuda: str
    machines: tuple[str, ...]


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """All tables."""

    toolkits: tuple[Toolkit, ...]
    minor_compatibility: tuple[MinorCompatibility, ...]
    branches: tuple[Branch, ...]
    compat: tuple[CompatPackage, ...]
    architectures: tuple[Architecture, ...]
    gpus: tuple[GpuModel, ...]
    kernels: tuple[KernelRow, ...]
    labels: tuple[Label, ...]
    images: tuple[ImageFamily, ...]
    ngc: tuple[NgcRelease, ...]
    software: tuple[Software, ...]
    bundles: tuple[Bundle, ...]
    default_targets: tuple[DefaultTarget, ...]
    cudnn: tuple[CudnnRow, ...]
    defaults: tuple[IndexDefault, ...]
    needs: tuple[Need, ...]
    system_images: tuple[SystemImage, ...]


R = TypeVar("R", bound=Row)


def convert_rows(
    document: Mapping[str, object], key: str, row: type[R], file: str
) -> tuple[R, ...]:
    """Return the rows of one array.

    Raises:
        EnvgenError: A row is incomplete, or the array is missing or empty.

    """
    try:
        rows = msgspec.convert(document.get(key, ()), tuple[row, ...])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise EnvgenError.single(str(error), file=file, key=key) from error
    if not rows:
        raise EnvgenError.single("the table has no rows", file=file, key=key)
    return rows


def load_tables(folder: Path) -> Tables:
    """Read and check every table of a folder.

    Raises:
        EnvgenError: A table is missing, empty or has an incomplete row.

    """

    def rows(file: str, key: str, row: type[R]) -> tuple[R, ...]:
        return convert_rows(document(file), key, row, file)

    @functools.cache
    def document(file: str) -> dict[str, object]:
        return tomllib.loads((folder / file).read_text("utf-8"))

    return Tables(
        toolkits=rows("toolkits.toml", "toolkit", Toolkit),
        minor_compatibility=rows(
            "toolkits.toml", "minor_version_compatibility", MinorCompatibility
        ),
        branches=rows("drivers.toml", "branch", Branch),
        compat=rows("compat.toml", "compat", CompatPackage),
        architectures=rows("architectures.toml", "architecture", Architecture),
        gpus=rows("gpus.toml", "gpu", GpuModel),
        kernels=rows("kernels.toml", "kernels", KernelRow),
        labels=rows("labels.toml", "label", Label),
        images=rows("images.toml", "image", ImageFamily),
        ngc=rows("ngc.toml", "release", NgcRelease),
        software=rows("ptx.toml", "software", Software),
        bundles=rows("ptx.toml", "bundle", Bundle),
        default_targets=rows("ptx.toml", "default_target", DefaultTarget),
        cudnn=rows("ptx.toml", "cudnn", CudnnRow),
        defaults=rows("defaults.toml", "default", IndexDefault),
        needs=rows("needs.toml", "need", Need),
        system_images=rows("system.toml", "image", SystemImage),
    )


@functools.cache
def tables() -> Tables:
    """Return the tables that envgen ships, read once."""
    return load_tables(FOLDER)
