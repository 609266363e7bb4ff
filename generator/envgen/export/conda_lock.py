"""Reading conda-lock.yml (version 1 of its format): what is in it, by platform."""

from pathlib import PurePosixPath
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from envgen.errors import LockError

_ARCHIVES: Final = (".conda", ".tar.bz2")

_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Word = Annotated[str, msgspec.Meta(pattern=r"^\S+\Z")]


class _Hash(msgspec.Struct, frozen=True, kw_only=True):
    sha256: _Sha256


class CondaPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package of a conda-lock.yml, of conda or of pip.

    Attributes:
        name: As its manager spells it.
        version: Its version.
        manager: `conda` or `pip`.
        platform: As conda names it, `linux-64`.
        url: Where its file is.
        hash: Of the file.
        dependencies: What it needs, by name.

    """

    name: _Word
    version: _Word
    manager: str
    platform: str
    url: _Word
    hash: _Hash
    dependencies: dict[str, str] = {}

    @property
    def sha256(self) -> str:
        return self.hash.sha256

    @property
    def filename(self) -> str:
        return PurePosixPath(urlsplit(self.url).path).name

    @property
    def archive(self) -> str:
        """Return `conda` or `tar.bz2`."""
        return next((end[1:] for end in _ARCHIVES if self.filename.endswith(end)), "")

    @property
    def build(self) -> str:
        """Return the build string: a file is called NAME-VERSION-BUILD."""
        return self.filename.removesuffix(f".{self.archive}").rpartition("-")[2]

    @property
    def subdir(self) -> str:
        """Return the channel's folder, as `linux-64` or `noarch`."""
        return PurePosixPath(urlsplit(self.url).path).parent.name

    @property
    def channel(self) -> str:
        return PurePosixPath(urlsplit(self.url).path).parent.parent.name


class _Channel(msgspec.Struct, frozen=True, kw_only=True):
    url: str


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    channels: tuple[_Channel, ...] = ()


class CondaLock(msgspec.Struct, frozen=True, kw_only=True):
    """A conda-lock.yml: its packages, and its channels, the one that wins first."""

    version: int
    package: tuple[CondaPackage, ...]
    metadata: _Metadata = _Metadata()

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(channel.url for channel in self.metadata.channels)


def read_conda_lock(text: str, file: str = "conda-lock.yml") -> tuple[CondaPackage, ...]:
    """Return the packages of a conda-lock.yml in its order.

    Raises:
        LockError: It is no conda-lock.yml of version 1, or a package has no SHA-256.

    """
    return parse_conda_lock(text, file).package


def parse_conda_lock(text: str, file: str = "conda-lock.yml") -> CondaLock:
    """Return a conda-lock.yml.

    Raises:
        LockError: It is no conda-lock.yml of version 1, or a package has no SHA-256.

    """
    import yaml  # noqa: PLC0415 - only some exports and `init` read YAML

    # In C where PyYAML was built with it: ten times as fast, and locks are long.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
        lock = msgspec.convert(document, CondaLock, strict=False)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise LockError.single(
            "is not a lock of conda-lock", file=file, why=str(error), fix="lock again"
        ) from error
    if lock.version != 1:
        raise LockError.single(
            f"has version {lock.version}; this envgen reads version 1", file=file
        )
    return lock
