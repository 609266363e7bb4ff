"""Every error a user can meet, each class with its own exit code.

`cli.main` is the one place that prints them. Nothing else prints or exits.
"""

from collections.abc import Iterable
from typing import ClassVar, Self

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, told so that its reader can mend it.

    Attributes:
        what: What is wrong.
        file: The file it is in, relative to the project; empty where there is none.
        key: The key path inside that file, as `images.serve.port`.
        why: Why it is wrong; empty where `what` says it all.
        fix: What would be right, or what to do next.

    """

    what: str
    file: str = ""
    key: str = ""
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        lines = [": ".join(part for part in (self.file, self.key, self.what) if part)]
        if self.why:
            lines.append(_indent("why: ", self.why))
        if self.fix:
            lines.append(_indent("fix: ", self.fix))
        return "\n".join(lines)


def _indent(label: str, text: str) -> str:
    return "  " + label + text.replace("\n", "\n" + " " * (2 + len(label)))


class EnvgenError(Exception):
    """The base of all of them. Carries one problem or several."""

    exit_code: ClassVar[int] = 70
    title: ClassVar[str] = "a defect in envgen"

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @classmethod
    def single(
        cls, what: str, *, file: str = "", key: str = "", why: str = "", fix: str = ""
    ) -> Self:
        """Return an error with one problem."""
        return cls(Problem(what=what, file=file, key=key, why=why, fix=fix))


class StaleError(EnvgenError):
    """Spec, lock and files disagree, and the command was told not to change them."""

    exit_code = 1
    title = "outputs are stale"


class UsageError(EnvgenError):
    """The command line asks for something that does not exist or does not go together."""

    exit_code = 2
    title = "wrong usage"


class SpecError(EnvgenError):
    """The spec is not valid, or there is none."""

    exit_code = 3
    title = "the spec is not valid"


class LockError(EnvgenError):
    """The dependencies cannot be locked, or a lock file cannot be trusted."""

    exit_code = 4
    title = "the environment cannot be locked"


class NetworkError(EnvgenError):
    """A registry or a package index did not answer, or not with what was asked for."""

    exit_code = 5
    title = "the network did not deliver"


class ToolError(EnvgenError):
    """A program that envgen runs is missing, too old, or failed for a reason of its own."""

    exit_code = 6
    title = "an external program failed"


class EditedError(EnvgenError):
    """A file that envgen would replace has been edited by a person."""

    exit_code = 7
    title = "an edited file would be overwritten"


class StorageError(EnvgenError):
    """A file cannot be read or written: full disk, read-only folder, missing permission."""

    exit_code = 8
    title = "a file cannot be read or written"


class IncompatibleError(EnvgenError):
    """An image does not run on a host that was asked about."""

    exit_code = 9
    title = "an image does not run on a host"


class PolicyError(EnvgenError):
    """An image has a vulnerability, or an age, that the spec's policy refuses."""

    exit_code = 10
    title = "an image breaks the policy"


class MismatchError(EnvgenError):
    """An image differs from what the spec and the lock give."""

    exit_code = 11
    title = "an image is not what its spec and lock give"


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells report it (128 + SIGINT)."""


def exit_codes() -> Iterable[tuple[int, str]]:
    """Return every exit code with its meaning, for the README and the help."""
    yield 0, "done; with `--check`, everything agrees"
    for error in (
        StaleError,
        UsageError,
        SpecError,
        LockError,
        NetworkError,
        ToolError,
        EditedError,
        StorageError,
        IncompatibleError,
        PolicyError,
        MismatchError,
        EnvgenError,
    ):
        yield error.exit_code, error.title
    yield INTERRUPTED, "interrupted; the files are all old or all new"
