"""One drift at a time, at each level and in each format: each is named, and nothing else is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.parity.conftest import DIGEST, write_row

from envgen.release.published import PUBLISHED_FILE

if TYPE_CHECKING:
    from tests.conftest import Outcome, Project

FOLDER = "environments/serve"
COMPOSE = f"{FOLDER}/compose.yaml"
BASE = f"{FOLDER}/kubernetes/base/deployment.yaml"
PROD = f"{FOLDER}/kubernetes/overlays/prod/patch.yaml"
CONTAINER = "Deployment demo-serve: spec.template.spec.containers[serve]"
TASK = f"{FOLDER}/ecs/task-definition.test.json"
OTHER = f"sha256:{'e' * 64}"


def differences(outcome: Outcome) -> list[tuple[str, str, str, str, str]]:
    """Return file, key path, what it is, found and expected."""
    names = ("file", "key", "about", "found", "expected")
    return [tuple(each[name] for name in names) for each in outcome.json["differences"]]


def test_what_is_rendered_has_parity(deployed: Project) -> None:
    outcome = deployed.run("parity")

    assert outcome.code == 0, outcome.out
    assert "dev, test, prod are what the spec declares" in outcome.out


def test_what_the_spec_lets_differ_is_told(deployed: Project) -> None:
    out = deployed.run("parity").out

    assert "serve: environment LOG_LEVEL: dev debug, test info, prod info, as the spec says" in out
    assert "serve: replicas: dev 1, test 1, prod 3, as the spec says" in out
    assert "serve: resource memory: dev 2 GB, test 2 GB, prod 4 GiB, as the spec says" in out


PLANTED = [
    (COMPOSE, f"serve@{DIGEST}", f"serve@{OTHER}", "services.serve.image", "image digest"),
    (
        COMPOSE,
        'LOG_LEVEL: "debug"',
        "LOG_LEVEL: info",
        "services.serve.environment.LOG_LEVEL",
        "environment LOG_LEVEL",
    ),
    (
        COMPOSE,
        'LOG_LEVEL: "debug"',
        'LOG_LEVEL: "debug"\n      NVIDIA_DISABLE_REQUIRE: true',
        "services.serve.environment.NVIDIA_DISABLE_REQUIRE",
        "CUDA NVIDIA_DISABLE_REQUIRE",
    ),
    (
        COMPOSE,
        "      resources:\n",
        "      resources:\n        reservations: {devices: [{capabilities: [gpu], count: all}]}\n",
        "services.serve.deploy.resources.reservations.devices",
        "GPUs",
    ),
    (
        COMPOSE,
        "        target: /data\n        read_only: true\n",
        "        target: /data\n",
        "services.serve.volumes./data",
        "mount /data",
    ),
    (
        COMPOSE,
        "memory: 1953125k",
        "memory: 3g",
        "services.serve.deploy.resources.limits.memory",
        "resource memory",
    ),
    (COMPOSE, "shm_size: 1g", "shm_size: 2g", "services.serve.shm_size", "resource shm-size"),
    (COMPOSE, 'user: "10001:10001"', "user: root", "services.serve.user", "user"),
    (
        BASE,
        "runAsUser: 10001",
        "runAsUser: 0",
        "Deployment demo-serve: spec.template.spec.securityContext",
        "user",
    ),
    (
        BASE,
        "nvidia.com/cuda.driver-version.major",
        "nvidia.com/gpu.count",
        "Deployment demo-serve: spec.template.spec.affinity.nodeAffinity",
        "CUDA node affinity",
    ),
    (
        BASE,
        "mountPath: /data",
        "mountPath: /datasets",
        "Deployment demo-serve: spec.template.spec.containers[serve].volumeMounts./data",
        "mount /data",
    ),
    (
        PROD,
        "nvidia.com/gpu: 2",
        "nvidia.com/gpu: 8",
        f"{CONTAINER}.resources.limits.nvidia.com/gpu",
        "GPUs",
    ),
    (PROD, "replicas: 3", "replicas: 1", "Deployment demo-serve: spec.replicas", "replicas"),
    (
        PROD,
        "        - name: serve\n",
        f"        - name: serve\n          image: registry.example/team/serve@{OTHER}\n",
        "Deployment demo-serve: spec.template.spec.containers[serve].image",
        "image digest",
    ),
    (
        f"{FOLDER}/kubernetes/overlays/prod/kustomization.yaml",
        "kind: Kustomization\n",
        "kind: Kustomization\nimages: [{name: serve, newTag: latest}]\n",
        "images",
        "kustomization",
    ),
    (TASK, '"cpu": 341', '"cpu": 1024', "containerDefinitions[serve].cpus", "resource cpus"),
    (
        TASK,
        '"value": "1"',
        '"value": "4"',
        "containerDefinitions[serve].resourceRequirements",
        "GPUs",
    ),
    (
        f"{FOLDER}/sagemaker/prod.json",
        '"InitialInstanceCount": 3',
        '"InitialInstanceCount": 2',
        "ProductionVariant.InitialInstanceCount",
        "replicas",
    ),
    (
        f"{FOLDER}/devcontainer.json",
        '"LOG_LEVEL": "debug"',
        '"LOG_LEVEL": "trace"',
        "containerEnv.LOG_LEVEL",
        "environment LOG_LEVEL",
    ),
    (
        f"{FOLDER}/apptainer.def",
        f"From: registry.example/team/serve@{DIGEST}",
        "From: registry.example/team/serve:latest",
        "From",
        "image digest",
    ),
]


@pytest.mark.parametrize(
    ("path", "old", "new", "key", "about"), PLANTED, ids=lambda value: str(value)[:40]
)
def test_planted_drift_is_named(  # noqa: PLR0917 - a case and its answer
    deployed: Project, path: str, old: str, new: str, key: str, about: str
) -> None:
    text = deployed.read(path)
    assert old in text, text
    deployed.write(path, text.replace(old, new, 1))

    outcome = deployed.run("parity", "--json")

    assert outcome.code == 1
    found = [each for each in differences(outcome) if each[0] == path]
    assert (key, about) in [(each[1], each[2]) for each in found]
    # A mount in another place is two: one is missing, one is there that should not be.
    assert len(found) == (2 if "datasets" in new else 1)


def test_drift_of_the_base_is_told_of_the_base_alone(deployed: Project) -> None:
    deployed.write(BASE, deployed.read(BASE).replace("runAsUser: 10001", "runAsUser: 0"))

    (found,) = differences(deployed.run("parity", "--json"))

    assert found[0] == BASE
    assert found[3:] == ("0:10001", "10001:10001")


def test_missing_manifest_is_named(deployed: Project) -> None:
    (deployed.root / COMPOSE).unlink()

    (found,) = differences(deployed.run("parity", "--json"))

    assert found[:3] == (COMPOSE, "", "file")


def test_image_that_nobody_published_is_named(deployed: Project) -> None:
    (deployed.root / PUBLISHED_FILE).unlink()
    assert deployed.run("render").code == 0

    (found,) = differences(deployed.run("parity", "--json"))

    assert found[:2] == (PUBLISHED_FILE, "images.serve")


def test_image_of_another_lock_is_named(deployed: Project) -> None:
    deployed.write(PUBLISHED_FILE, write_row(OTHER))
    assert deployed.run("render").code == 0

    (found,) = differences(deployed.run("parity", "--json"))

    assert found[:3] == (PUBLISHED_FILE, "images.serve.lock", "published lock")


def inspected(**changes: Any) -> list[dict[str, Any]]:
    """Return what Docker tells of the container of deployment dev."""
    env = {
        "PATH": "/opt/venv/bin:/usr/bin",
        "LANG": "C.UTF-8",
        "VIRTUAL_ENV": "/opt/venv",
        "PYTHONUNBUFFERED": "1",
        "ENVGEN_IMAGE": "registry.example/team/serve",
        "ENVGEN_IMAGE_DIGEST": DIGEST,
        "LOG_LEVEL": "debug",
        "ODD": "a$b $(c)",
        **changes.pop("env", {}),
    }
    host: dict[str, Any] = {"NanoCpus": 333_000_000, "Memory": 2_000_000_000, "ShmSize": 2**30}
    host |= {"DeviceRequests": None, **changes.pop("host", {})}
    mounts = [
        {"Type": "volume", "Destination": "/data", "RW": False},
        {"Type": "volume", "Destination": "/scratch", "RW": True},
    ]
    config = {
        "Image": f"registry.example/team/serve@{DIGEST}",
        "User": "10001:10001",
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Labels": {"org.envgen.image": "serve", **changes.pop("labels", {})},
    }
    return [{"Config": {**config, **changes}, "HostConfig": host, "Mounts": mounts}]


@pytest.fixture
def container(deployed: Project) -> dict[str, Any]:
    """Return variables and labels that the image has by itself."""
    dockerfile = deployed.read(f"{FOLDER}/Dockerfile")
    lines = [line.split("=", 1) for line in dockerfile.splitlines()]
    env = {line[0][4:]: line[1].strip('"') for line in lines if line[0].startswith("ENV ")}
    labels = {line[0][6:]: line[1].strip('"') for line in lines if line[0].startswith("LABEL ")}
    return {"env": {**env, "NVIDIA_VISIBLE_DEVICES": "void"}, "labels": labels}


def against(project: Project, document: Any, deployment: str = "dev=") -> Outcome:
    project.write("found.json", json.dumps(document))
    return project.run("parity", "--json", "--against", f"{deployment}{project.root}/found.json")


def test_inspected_container_has_parity(deployed: Project, container: dict[str, Any]) -> None:
    outcome = against(deployed, inspected(**container))

    assert outcome.code == 0, outcome.out


@pytest.mark.parametrize(
    ("changes", "key", "about"),
    [
        ({"Image": "registry.example/team/serve:1"}, "[0].Config.Image", "image digest"),
        ({"User": ""}, "[0].Config.User", "user"),
        ({"host": {"Memory": 0}}, "[0].HostConfig.memory", "resource memory"),
        (
            {"host": {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}},
            "[0].HostConfig.DeviceRequests",
            "GPUs",
        ),
        ({"env": {"DEBUG": "1"}}, "[0].Config.Env.DEBUG", "environment DEBUG"),
        (
            {"env": {"NVIDIA_REQUIRE_CUDA": "cuda>=11.0"}},
            "[0].Config.Env.NVIDIA_REQUIRE_CUDA",
            "CUDA NVIDIA_REQUIRE_CUDA",
        ),
        (
            {"labels": {"org.envgen.lock": OTHER}},
            "[0].Config.Labels.org.envgen.lock",
            "lock org.envgen.lock",
        ),
    ],
)
def test_drift_of_an_inspected_container_is_named(
    deployed: Project, container: dict[str, Any], changes: dict[str, Any], key: str, about: str
) -> None:
    merged = {**container, **changes}
    for name in ("env", "labels"):
        merged[name] = {**container[name], **changes.get(name, {})}

    outcome = against(deployed, inspected(**merged))

    assert outcome.code == 1
    assert [(each[1], each[2]) for each in differences(outcome)] == [(key, about)]


def test_list_of_live_objects_is_read(deployed: Project) -> None:
    import yaml

    live = yaml.safe_load(deployed.read(BASE))
    live["spec"]["template"]["spec"]["containers"][0]["env"].append(
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    )
    outcome = against(deployed, {"apiVersion": "v1", "kind": "List", "items": [live]}, "test=")

    assert [(each[2], each[3]) for each in differences(outcome)] == [
        ("environment TOKEN", "from secretKeyRef")
    ]


def test_deployment_has_to_be_named_where_it_matters(deployed: Project) -> None:
    outcome = against(deployed, inspected(), "")

    assert outcome.code == 2
    assert "nobody says which deployment it is of" in outcome.json["problems"][0]["what"]


def test_unknown_deployment_is_refused(deployed: Project) -> None:
    outcome = deployed.run("parity", "--against", "production=x.yaml")

    assert outcome.code == 2
    assert "no deployment 'production'" in outcome.err


@pytest.mark.parametrize("content", ["{]", "a: [", "just text", '{"kind": "x"}'])
def test_file_of_no_known_format_is_refused(deployed: Project, content: str) -> None:
    path = deployed.write("strange", content)

    outcome = deployed.run("parity", "--against", f"dev={path}")

    assert outcome.code == 2
    assert "strange" in outcome.err


def test_spec_without_targets_is_told(rendered: Project) -> None:
    outcome = rendered.run("parity")

    assert outcome.code == 2
    assert "no image has targets" in outcome.err
