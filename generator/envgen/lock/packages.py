"""The one form in which every locker's packages are known to the rest of envgen."""

import msgspec


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file that an installer may fetch for a package.

    Attributes:
        filename: A wheel's, a source archive's or a conda package's file name.
        url: Where it was found.
        sha256: 64 hex digits.
        size: Bytes to download; None where the index does not say.

    """

    filename: str
    url: str
    sha256: str
    size: int | None = None


class GitCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of a repository, whose name is made of its content; it has no other hash.

    Attributes:
        url: Of the repository.
        commit: 40 hex digits, or 64.
        ref: What was asked for: a tag, a branch; empty for the default branch.
        subdirectory: Where in the repository the package is; empty for its top.

    """

    url: str
    commit: str
    ref: str = ""
    subdirectory: str = ""


class LockedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package at one version.

    Attributes:
        name: Normalised as PyPA's name specification says; of a conda package, its name on PyPI
            where it is a Python package, else its own.
        version: As the lock has it, local part (`+cu128`) included.
        wheels: Those that fit the image's Python on one of its platforms; of a conda package, its
            archives.
        source: The source archive, where the package is built from it.
        marker: A PEP 508 marker that says when it is installed; empty for always.
        downloads: What an installer takes, by platform (`linux/amd64`).
        conda: The name that it has on a conda channel; empty for a package of PyPI.
        git: The commit that it is built from; None for a package of an index.

    """

    name: str
    version: str
    wheels: tuple[Artifact, ...] = ()
    source: Artifact | None = None
    marker: str = ""
    downloads: dict[str, Artifact] = msgspec.field(default_factory=dict)
    conda: str = ""
    git: GitCommit | None = None
