"""From a file of any kind, or the name of a container, to what its containers get."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from envgen.errors import StorageError, UsageError
from envgen.parity.compose import read_compose
from envgen.parity.documents import read_definition, read_devcontainer, read_sagemaker, read_task
from envgen.parity.engine import inspect_container, read_inspected
from envgen.parity.kubernetes import read_manifests
from envgen.parity.model import Found

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, which is several times as fast, where PyYAML was built with it."""


def read_given(name: str, folder: Path, images: Mapping[str, str]) -> tuple[Found, ...]:
    """Return the containers in a file, on standard input (`-`), or of a running container.

    Raises:
        StorageError: The file cannot be read.
        ToolError: It is no file, and there is no Docker to ask for a container.
        UsageError: It is neither, or nothing in it is of an image of the spec.

    """
    path = folder / name
    if name == "-" or path.is_file():
        found = read_source(name, _read_bytes(name, path), images)
    else:
        found = read_documents(name, [inspect_container(name)], images)
    if not found:
        raise UsageError.single(
            "has no container of an image of the spec",
            file=name,
            why="containers are known by the image's name or by its repository",
        )
    return found


def _read_bytes(name: str, path: Path) -> bytes:
    try:
        return (Path("/dev/stdin") if name == "-" else path).read_bytes()
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=name, why=error.strerror or str(error)
        ) from error


def read_source(file: str, content: bytes, images: Mapping[str, str]) -> tuple[Found, ...]:
    """Return the containers that a file tells of; `images` is repository by name.

    Raises:
        UsageError: It is none of the formats.

    """
    text = content.decode("utf-8", "replace")
    if "bootstrap:" in text.lower() and not text.lstrip().startswith("{"):
        return tuple(read_definition(file, text, images))
    try:
        documents = [json.loads(text)]
    except ValueError:
        documents = parse_yaml(file, content)
    return read_documents(file, documents, images)


def read_documents(file: str, documents: list[Any], images: Mapping[str, str]) -> tuple[Found, ...]:
    """Return the containers in documents that are parsed already.

    Raises:
        UsageError: One is of no format that is known, or not as its format has it.

    """
    try:
        return tuple(_read_documents(file, documents, images))
    # The readers take the shapes of their formats for granted: a schema's checks are not theirs.
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise UsageError.single("is not as its format has it", file=file, why=why) from error


def parse_yaml(file: str, content: bytes) -> list[Any]:
    """Return the documents of a YAML file.

    Raises:
        UsageError: It is not YAML.

    """
    try:
        return [each for each in yaml.load_all(content, _LOADER) if each is not None]
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise UsageError.single("is not YAML", file=file, why=reason) from error


def _read_documents(file: str, documents: list[Any], images: Mapping[str, str]) -> Iterator[Found]:
    for document in documents:
        match document:
            case list():
                yield from read_inspected(file, document, images)
            case {"services": dict()}:
                yield from read_compose(file, document, images)
            case {"apiVersion": _, "kind": _}:
                yield from read_manifests(file, [document], images)
            case {"taskDefinition": dict() as task}:
                yield from read_task(file, task, images)
            case {"containerDefinitions": list()}:
                yield from read_task(file, document, images)
            case {"Estimator": _} | {"PrimaryContainer": _}:
                yield from read_sagemaker(file, document, images)
            case {"Config": dict()}:
                yield from read_inspected(file, [document], images)
            case {"image": str()}:
                yield from read_devcontainer(file, document, images)
            case _:
                raise UsageError.single(
                    "is of no format that parity reads",
                    file=file,
                    fix="a Compose file, Kubernetes manifests, the JSON of `docker inspect`, or "
                    "what envgen renders",
                )
