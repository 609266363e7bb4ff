"""What a report says. Sizes are bytes on the wire."""

import msgspec

from envgen.lock.compare import ImageDiff
from envgen.plan.model import Decision


class WeighedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package with what its file weighs; 0 where that is not known."""

    name: str
    version: str
    download_bytes: int


class WeighedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer with its packages, the heaviest first."""

    name: str
    packages: tuple[WeighedPackage, ...]

    @property
    def download_bytes(self) -> int:
        return sum(package.download_bytes for package in self.packages)


class GpuAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an image runs on a GPU, with some driver.

    Attributes:
        gpu: The model.
        outcome: `runs`, `fails` or `unknown`.
        detail: From which driver on, or why not.

    """

    gpu: str
    outcome: str
    detail: str


class ImageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one image."""

    name: str
    base: str
    digest: str
    decisions: tuple[Decision, ...]
    layers: tuple[WeighedLayer, ...]
    gpus: tuple[GpuAnswer, ...]
    change: ImageDiff | None = None

    @property
    def download_bytes(self) -> int:
        return sum(layer.download_bytes for layer in self.layers)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A project's images, and the revision that changes are told against; empty for none."""

    project: str
    revision: str
    images: tuple[ImageReport, ...]
