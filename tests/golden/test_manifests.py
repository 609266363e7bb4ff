"""Rendered manifests fit the schemas of their field; kustomize makes of them what we read."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from botocore.session import get_session  # type: ignore[import-untyped]
from botocore.validate import ParamValidator  # type: ignore[import-untyped]
from spython.main.parse.parsers import SingularityParser  # type: ignore[import-untyped]

from envgen.parity.overlay import merge
from envgen.plan.targets.sagemaker import machine_images
from envgen.rendered import JSON_SEAL

FOLDER = Path(__file__).parent / "targets" / "expected" / "environments"
IMAGES = ("train", "serve")
DEPLOYMENTS = ("dev", "test", "prod")


def find(pattern: str) -> list[Path]:
    """Return files of the case; a pattern that finds none would test nothing."""
    found = sorted(FOLDER.glob(pattern))
    assert found, pattern
    return found


def read_yaml(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_compose_files_fit_the_compose_specification() -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))

    for path in find("*/compose.yaml"):
        jsonschema.validate(read_yaml(path)[0], schema)


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_manifests_fit_kubernetes(version: str) -> None:
    paths = [path for path in find("*/kubernetes/**/*.yaml") if path.name != "kustomization.yaml"]

    for path in paths:
        for document in read_yaml(path):
            if path.name == "patch.yaml":
                continue
            kubernetes_validate.validate(document, version, strict=True)


def apply(image: str, deployment: str) -> list[Any]:
    """Return what our own reading makes of a base and an overlay."""
    folder = FOLDER / image / "kubernetes"
    documents = [
        document
        for name in ("deployment", "service", "job")
        if (folder / f"base/{name}.yaml").exists()
        for document in read_yaml(folder / f"base/{name}.yaml")
    ]
    overlay = folder / "overlays" / deployment
    (patch,) = read_yaml(overlay / "patch.yaml") if (overlay / "patch.yaml").exists() else [{}]
    volumes = read_yaml(overlay / "volumes.yaml") if (overlay / "volumes.yaml").exists() else []
    patched = [
        merge(document, patch) if document["kind"] == patch.get("kind") else document
        for document in documents
    ]
    return [*patched, *volumes]


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
@pytest.mark.parametrize("image", IMAGES)
def test_overlays_fit_kubernetes(image: str, deployment: str) -> None:
    for document in apply(image, deployment):
        kubernetes_validate.validate(document, "1.37", strict=True)


def sort_lists(value: Any) -> Any:
    """Return a document whose lists have an order of their own: kustomize moves what it merges."""
    if isinstance(value, dict):
        return {key: sort_lists(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(sort_lists, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
@pytest.mark.parametrize("image", IMAGES)
def test_kustomize_makes_of_overlays_what_we_read(image: str, deployment: str) -> None:
    program = shutil.which("kustomize") or shutil.which("kubectl")
    if program is None:
        pytest.skip("neither kustomize nor kubectl is on PATH")
    verb = "build" if Path(program).name == "kustomize" else "kustomize"
    overlay = FOLDER / image / "kubernetes" / "overlays" / deployment

    done = subprocess.run([program, verb, overlay], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    assert sort_lists(made) == sort_lists(apply(image, deployment))


def describe(service: str, operation: str) -> Any:
    return get_session().get_service_model(service).operation_model(operation).input_shape


def complain(document: Any, shape: Any) -> str:
    return str(ParamValidator().validate(document, shape).generate_report())


def test_task_definitions_fit_ecs() -> None:
    for path in find("*/ecs/*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        shape = describe("ecs", "RegisterTaskDefinition")
        assert complain(document, shape) == ""
        assert document.keys() <= shape.members.keys()


def test_models_fit_sagemaker() -> None:
    variants = describe("sagemaker", "CreateEndpointConfig").members["ProductionVariants"]
    container = describe("sagemaker", "CreateModel").members["PrimaryContainer"]

    for path in find("serve/sagemaker/*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        assert complain(document["ProductionVariant"], variants.member) == ""
        assert document["ProductionVariant"].keys() <= variants.member.members.keys()
        assert complain(document["PrimaryContainer"], container) == ""


def test_machine_images_are_those_that_sagemaker_knows() -> None:
    variants = describe("sagemaker", "CreateEndpointConfig").members["ProductionVariants"]
    known = variants.member.members["InferenceAmiVersion"].enum

    assert {row.version for row in machine_images()} == {name for name in known if "gpu" in name}


def test_apptainer_definitions_are_read_by_another_reader() -> None:
    for path in find("*/apptainer.def"):
        recipe = SingularityParser(str(path)).parse()
        assert "@sha256:" in recipe["spython-base"].fromHeader


def test_devcontainer_has_only_what_its_reference_lists() -> None:
    """containers.dev/implementors/json_reference: properties of an image and general ones."""
    known = {"name", "image", "remoteUser", "containerUser", "containerEnv", "mounts"}
    known |= {"forwardPorts", "securityOpt", "hostRequirements", "runArgs", "customizations"}

    for path in find("*/devcontainer.json"):
        assert json.loads(path.read_text(encoding="utf-8")).keys() <= known


def test_every_manifest_says_that_it_is_generated() -> None:
    for path in find("**/*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert text.startswith("# Generated by `envgen ") or JSON_SEAL in text, path


def test_image_is_named_by_digest_everywhere() -> None:
    for path in find("*/**/*.json") + find("*/**/*.yaml") + find("*/apptainer.def"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "registry.example/team/" in line and "ENVGEN_IMAGE" not in line:
                assert "@sha256:" in line or 'value": "registry' in line or "value: " in line, path
