"""What names an environment, and how it is written beside a model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen.errors import SpecError, StorageError, UsageError
from envgen.plan.gpu import describe_requirement, oldest_cuda
from envgen.project import Project
from envgen.spec.suggest import suggest

PREFIX: Final = "envgen."


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The environment that an image holds. What is not known is empty.

    Attributes:
        image: Its name in the spec.
        digest: Of its manifest in the registry it was pushed to.
        canonical: envgen's own digest, which every builder agrees on.
        lock: The hash of its lock, with its algorithm.
        spec: The hash of its spec, with its algorithm.
        revision: The commit.
        cuda: What it needs of a driver: the oldest CUDA that one has to support.
        selftest: The fingerprint of its self-test.

    """

    image: str
    digest: str = ""
    canonical: str = ""
    lock: str = ""
    spec: str = ""
    revision: str = ""
    cuda: str = ""
    selftest: str = ""

    def to_tags(self) -> dict[str, str]:
        """Return it as registries of models keep it: a text for each fact that is known."""
        facts: dict[str, str] = msgspec.to_builtins(self)
        return {f"{PREFIX}{name}": value for name, value in facts.items()}


def from_tags(tags: Mapping[str, object]) -> Identity | None:
    """Return the identity that tags hold; None where they are nobody's of ours."""
    facts = {
        name.removeprefix(PREFIX): str(value)
        for name, value in tags.items()
        if name.startswith(PREFIX)
    }
    known = {name: facts[name] for name in Identity.__struct_fields__ if name in facts}
    return Identity(**known) if known.get("image") else None


def describe_image(
    opened: Project, name: str, *, record: Path | None, selftest: Path | None
) -> Identity:
    """Return the identity of an image of a project.

    Args:
        opened: The project.
        name: The image.
        record: What `envgen build --record` wrote.
        selftest: What `selftest record` wrote.

    Raises:
        StorageError: A file cannot be read.
        SpecError: A file is not what it should be.
        UsageError: The record is of other images, or of another lock.

    """
    locked = opened.lock.images[name]
    built = _read_built(record, name) if record else {}
    lock = f"sha256:{locked.lock_sha256}"
    if built.get("lock", lock) != lock:
        raise UsageError.single(
            "is of another lock",
            file=str(record),
            why=f"it has {built['lock']}, the image is locked as {lock}",
            fix=f"build the image anew: `envgen build {name} --record {record}`",
        )
    platform = opened.loaded.spec.images[name].platforms or opened.loaded.spec.defaults.platforms
    cuda = oldest_cuda(describe_requirement(name, locked, platform[0]))
    return Identity(
        image=name,
        digest=str(built.get("digest", "")),
        canonical=str(built.get("canonical", {}).get("digest", "")),
        lock=lock,
        spec=f"sha256:{opened.loaded.sha256}",
        revision=str(built.get("revision", "")),
        cuda=f"cuda>={cuda}" if cuda else "",
        selftest=_read_fingerprint(selftest) if selftest else "",
    )


def _read_built(path: Path, name: str) -> dict[str, Any]:
    images = {str(entry.get("image")): entry for entry in _read_json(path).get("images", ())}
    if name not in images:
        raise UsageError.single(f"has no image {name!r}", file=str(path), fix=suggest(name, images))
    built: dict[str, Any] = images[name]
    return built


def _read_fingerprint(path: Path) -> str:
    """Return a hash of what the self-test recorded, without when and on which machine."""
    import hashlib  # noqa: PLC0415 - only a recorded self-test needs it

    document = _read_json(path)
    results = document.get("fingerprints", document)
    text = json.dumps(results, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=str(path), why=error.strerror or str(error)
        ) from error
    except ValueError as error:
        raise SpecError.single("is not JSON", file=str(path), why=str(error)) from error
    if not isinstance(document, dict):
        raise SpecError.single("is not an object of JSON", file=str(path))
    return document
