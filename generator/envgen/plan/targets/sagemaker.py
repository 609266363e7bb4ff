"""SageMaker: the machine image by its driver, and the arguments that its SDK takes."""

import functools
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from envgen.cuda.host import Host
from envgen.cuda.judge import judge
from envgen.cuda.verdict import Outcome
from envgen.cuda.version import parse_version
from envgen.errors import EnvgenError
from envgen.lock.model import LockedImage
from envgen.lock.request import image_platforms
from envgen.plan.gpu import describe_requirement
from envgen.plan.targets.model import Deployment, Targets
from envgen.resources import PRESETS
from envgen.spec.model import Spec

if TYPE_CHECKING:
    from envgen.plan.model import ImagePlan

PORT: Final = 8080
"""Where SageMaker asks for /ping and /invocations."""

_FILE: Final = PRESETS / "data" / "sagemaker.toml"


class Ami(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine image: what `InferenceAmiVersion` can be.

    Attributes:
        version: Its name.
        driver: Its driver's branch.
        cuda: The newest CUDA that this driver supports.
        compat: Whether a cuda-compat of the container goes before the driver's libcuda.
        source: Where this is from.
        verified: Whether it was read there.

    """

    version: str
    driver: str
    cuda: str
    compat: bool
    source: str
    verified: bool


@functools.cache
def machine_images() -> tuple[Ami, ...]:
    """Return the table, the oldest driver first.

    Raises:
        EnvgenError: The table is damaged.

    """
    try:
        document = tomllib.loads(_FILE.read_text(encoding="utf-8"))
        rows = msgspec.convert(document["ami"], tuple[Ami, ...])
    except (KeyError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise EnvgenError.single(str(error), file=_FILE.name) from error
    return tuple(sorted(rows, key=lambda row: parse_version(row.driver)))


def plan_ami(spec: Spec, name: str, locked: LockedImage) -> str:
    """Return the InferenceAmiVersion for an image; empty without a GPU, or where none will do.

    The first whose driver supports the CUDA of the packages itself; else the newest on which they
    run all the same. One that lets the container's own cuda-compat in is never chosen.
    """
    gpu = spec.images[name].gpu
    if gpu is None or "sagemaker" not in spec.images[name].targets:
        return ""
    needs = describe_requirement(name, locked, image_platforms(spec, name)[0])
    bound = parse_version(gpu.driver.removeprefix(">=")) if gpu.driver else None
    fitting = [
        row
        for row in machine_images()
        if not row.compat
        and not (bound and parse_version(row.driver).major < bound.major)
        and judge(needs, Host(driver=parse_version(row.driver))).outcome is not Outcome.FAILS
    ]
    if not fitting:
        return ""
    supporting = [
        row for row in fitting if not needs.cuda or parse_version(row.cuda) >= needs.cuda.release
    ]
    return supporting[0].version if supporting else fitting[-1].version


def describe_sagemaker(image: "ImagePlan", targets: Targets, run: Deployment) -> Mapping[str, Any]:
    """Return the arguments of an Estimator, or those for a model that is served.

    Role and type of instance are an account's own and are not among them.
    """
    return _describe_model(image, targets, run) if image.ports else _describe_job(targets, run)


def _describe_job(targets: Targets, run: Deployment) -> Mapping[str, Any]:
    arguments: dict[str, Any] = {
        "image_uri": targets.reference,
        "instance_count": 1,
        "environment": dict(run.env),
        "base_job_name": targets.name,
    }
    checkpoints = dict(run.env).get("ENVGEN_CHECKPOINTS", "")
    if checkpoints.startswith("s3://"):
        arguments["checkpoint_s3_uri"] = checkpoints
        arguments["checkpoint_local_path"] = "/opt/ml/checkpoints"
    if run.volumes:
        arguments["volume_size"] = -(-sum(volume.size for volume in run.volumes) // 2**30)
    return {"Estimator": arguments}


def _describe_model(image: "ImagePlan", targets: Targets, run: Deployment) -> Mapping[str, Any]:
    variant: dict[str, Any] = {
        "VariantName": "AllTraffic",
        "InitialInstanceCount": max(1, run.replicas),
    }
    if run.gpus and targets.ami:
        variant["InferenceAmiVersion"] = targets.ami
    if image.health:
        # What it may be is from 60 to 3600 (API reference, ProductionVariant).
        start = min(3600, max(60, image.health[0].start_period_s))
        variant["ContainerStartupHealthCheckTimeoutInSeconds"] = start
    return {
        "PrimaryContainer": {"Image": targets.reference, "Environment": dict(run.env)},
        "ProductionVariant": variant,
    }
