"""Where models are registered: MLflow, Weights & Biases, SageMaker, Hugging Face model cards.

Their libraries are the user's own and are imported when they are used. Credentials are theirs, too:
each library finds its own.
"""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from envgen import output
from envgen.errors import NetworkError, StorageError, ToolError, UsageError
from envgen.rendered import RenderedFile


class Target(Protocol):
    """A version of a model somewhere."""

    def read(self) -> Mapping[str, object]:
        """Return its tags."""

    def write(self, tags: Mapping[str, str]) -> None:
        """Set tags; others stay as they are."""


def find_target(text: str) -> Target | None:
    """Return the model version that a text names; None where it names none.

    Raises:
        UsageError: It names a registry, and no model in it.

    """
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in _FORMS:
        return None
    pattern, example, make = _FORMS[scheme]
    found = re.fullmatch(pattern, rest)
    if not found:
        raise UsageError.single(f"{text!r} names no model version", fix=f"as {example}")
    target: Target = make(*found.groups())
    return target


def examples() -> str:
    """Return an example of each kind."""
    return ", ".join(example for _, example, _ in _FORMS.values())


class MlflowVersion:
    """A version of a registered model of MLflow, at MLFLOW_TRACKING_URI or MLFLOW_REGISTRY_URI."""

    def __init__(self, model: str, separator: str, version: str) -> None:
        self._model, self._separator, self._version = model, separator, version

    def _find(self) -> tuple[Any, Any]:
        client = _import("mlflow", "mlflow-skinny").MlflowClient()
        if self._separator == "@":
            return client, client.get_model_version_by_alias(self._model, self._version)
        return client, client.get_model_version(self._model, self._version)

    def read(self) -> Mapping[str, object]:
        with _Failures("MLflow"):
            tags: Mapping[str, object] = self._find()[1].tags
            return tags

    def write(self, tags: Mapping[str, str]) -> None:
        with _Failures("MLflow"):
            client, version = self._find()
            for name, value in tags.items():
                client.set_model_version_tag(self._model, version.version, name, value)


class WandbArtifact:
    """An artifact of Weights & Biases."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _find(self) -> Any:  # noqa: ANN401 - a type of wandb's
        return _import("wandb", "wandb").Api().artifact(self._path)

    def read(self) -> Mapping[str, object]:
        with _Failures("Weights & Biases"):
            metadata: Mapping[str, object] = self._find().metadata
            return metadata

    def write(self, tags: Mapping[str, str]) -> None:
        with _Failures("Weights & Biases"):
            artifact = self._find()
            artifact.metadata.update(tags)
            artifact.save()


class SagemakerPackage:
    """A model package of SageMaker, by its ARN."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def _client(self) -> Any:  # noqa: ANN401 - a type of boto3's
        return _import("boto3", "boto3").client("sagemaker", region_name=self._arn.split(":")[3])

    def read(self) -> Mapping[str, object]:
        with _Failures("SageMaker"):
            found = self._client().describe_model_package(ModelPackageName=self._arn)
            properties: Mapping[str, object] = found.get("CustomerMetadataProperties", {})
            return properties

    def write(self, tags: Mapping[str, str]) -> None:
        with _Failures("SageMaker"):
            self._client().update_model_package(
                ModelPackageArn=self._arn, CustomerMetadataProperties=dict(tags)
            )


class ModelCard:
    """The metadata of a model card of Hugging Face: the YAML at the top of a README.md."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def _split(self) -> tuple[dict[str, Any], str]:
        import yaml  # noqa: PLC0415 - only model cards need it

        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise StorageError.single(
                "cannot be read", file=str(self._path), why=error.strerror or str(error)
            ) from error
        found = re.match(r"---\n(.*?\n)?---\n", text, re.DOTALL)
        if not found:
            return {}, text
        metadata = yaml.safe_load(found[1] or "") or {}
        return metadata, text[found.end() :]

    def read(self) -> Mapping[str, object]:
        held = self._split()[0].get("envgen", {})
        return {f"envgen.{name}": value for name, value in held.items()}

    def write(self, tags: Mapping[str, str]) -> None:
        import yaml  # noqa: PLC0415 - only model cards need it

        metadata, body = self._split()
        metadata["envgen"] = {name.removeprefix("envgen."): value for name, value in tags.items()}
        head = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
        content = f"---\n{head}---\n{body}".encode()
        output.write([RenderedFile(path=self._path.name, content=content)], self._path.parent)


_FORMS: Final[Mapping[str, tuple[str, str, Any]]] = {
    "mlflow": (r"([^/@]+)([/@])([^/@]+)", "mlflow:MODEL/3 or mlflow:MODEL@champion", MlflowVersion),
    "wandb": (r"([^/]+/[^/]+/[^/:]+:[^/:]+)", "wandb:ENTITY/PROJECT/MODEL:v3", WandbArtifact),
    "sagemaker": (
        r"(arn:[\w-]+:sagemaker:[\w-]+:\d+:model-package/.+)",
        "sagemaker:arn:aws:sagemaker:REGION:ACCOUNT:model-package/GROUP/3",
        SagemakerPackage,
    ),
    "card": (r"(.+)", "card:README.md", ModelCard),
}


def _import(module: str, package: str) -> Any:  # noqa: ANN401 - a module of the user's
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ToolError.single(
            f"the Python that runs envgen has no {module}",
            why="its library talks to the registry",
            fix=f"pip install {package}",
        ) from error


class _Failures:
    """Whatever a registry's library raises is the registry's failure."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, (ToolError, StorageError)):
            lines = str(error).strip().splitlines()
            raise NetworkError.single(
                f"{self._name} refused",
                why=lines[0] if lines else type(error).__name__,
                fix="check the name of the model version, and the login of its library",
            ) from error
