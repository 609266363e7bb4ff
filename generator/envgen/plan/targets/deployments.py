"""What a container gets in each deployment, from the spec and what was published."""

import re
from typing import Final

import msgspec

from envgen.lock.limits import parse_size
from envgen.lock.model import LockedImage
from envgen.plan.model import Decision
from envgen.plan.targets.model import (
    NAMES,
    UNPUBLISHED,
    Deployment,
    Expression,
    Targets,
    Volume,
)
from envgen.plan.targets.nodes import plan_affinity
from envgen.plan.targets.sagemaker import plan_ami
from envgen.release.published import PUBLISHED_FILE, Published, PublishedImage
from envgen.spec.model import Image, Run, Spec

IMAGE_VARIABLE: Final = "ENVGEN_IMAGE"
DIGEST_VARIABLE: Final = "ENVGEN_IMAGE_DIGEST"
CHECKPOINTS_VARIABLE: Final = "ENVGEN_CHECKPOINTS"
GPUS_VARIABLE: Final = "NVIDIA_VISIBLE_DEVICES"

OWN_VARIABLES: Final = (IMAGE_VARIABLE, DIGEST_VARIABLE, CHECKPOINTS_VARIABLE, GPUS_VARIABLE)
"""What manifests set themselves."""


def plan_targets(
    spec: Spec, name: str, locked: LockedImage, published: Published
) -> Targets | None:
    """Return what manifests of an image say; None for an image without targets."""
    image = spec.images[name]
    if not image.targets or image.repository is None:
        return None
    row = published.images.get(name)
    # What was pushed elsewhere is not there under this name.
    pushed = row.digest if row and row.repository == image.repository else ""
    digest = pushed or UNPUBLISHED
    common = _deploy(image, "", image.run, digest)
    deployments = tuple(
        _deploy(
            image, each, merge_runs(image.run, getattr(spec.deployments, each).get(name)), digest
        )
        for each in NAMES
    )
    return Targets(
        names=tuple(dict.fromkeys(image.targets)),
        project=object_name(spec.project.name),
        name=object_name(f"{spec.project.name}-{name}"),
        repository=image.repository,
        digest=digest,
        published=bool(pushed),
        common=common,
        deployments=deployments,
        affinity=plan_affinity(spec, name, locked, gpus=False),
        gpu_affinity=plan_affinity(spec, name, locked, gpus=True),
        ami=plan_ami(spec, name, locked),
        claims_shared=max(each.replicas for each in deployments) > 1,
    )


def object_name(text: str) -> str:
    """Return a text as Kubernetes allows it in names and labels (RFC 1123 label)."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def merge_runs(run: Run, other: Run | None) -> Run:
    """Return what a deployment needs: what it says itself, and for the rest what the image says."""
    if other is None:
        return run
    said = {
        field: value
        for field in Run.__struct_fields__
        if (value := getattr(other, field)) is not None
    }
    said["env"] = {**run.env, **other.env}
    said["volumes"] = {**run.volumes, **other.volumes}
    return msgspec.structs.replace(run, **said)


def _deploy(image: Image, name: str, run: Run, digest: str) -> Deployment:
    gpus = run.gpus if run.gpus is not None else int(image.gpu is not None)
    own = {IMAGE_VARIABLE: image.repository or "", DIGEST_VARIABLE: digest}
    if run.checkpoints:
        own[CHECKPOINTS_VARIABLE] = run.checkpoints
    if image.gpu is not None and not gpus:
        # The image asks for all GPUs, and a runtime that listens to that would give it them.
        own[GPUS_VARIABLE] = "void"
    return Deployment(
        name=name,
        env=tuple({**own, **run.env}.items()),
        cpus=round(float(run.cpus or 0) * 1000),
        memory=_bytes(run.memory),
        shm=_bytes(run.shm_size),
        gpus=gpus,
        replicas=1 if run.replicas is None else run.replicas,
        volumes=tuple(
            Volume(name=key, path=volume.path, size=_bytes(volume.size), read_only=volume.read_only)
            for key, volume in run.volumes.items()
        ),
    )


def _bytes(size: str | None) -> int:
    return parse_size(size) if size else 0


def explain_targets(
    targets: Targets | None, locked: LockedImage, row: PublishedImage | None
) -> tuple[Decision, ...]:
    """Return why manifests say what they say."""
    if targets is None:
        return ()
    return (
        Decision(
            about="published",
            choice=targets.digest,
            reason=_explain_digest(targets, locked, row),
        ),
        *(
            (
                Decision(
                    about="nodes",
                    choice=" or ".join(map(_write_term, targets.gpu_affinity)),
                    reason="labels of GPU feature discovery: the driver, and GPUs that the locked "
                    "packages have code for; the start of the container looks closer",
                ),
            )
            if "kubernetes" in targets.names and any(each.gpus for each in targets.deployments)
            else ()
        ),
        *(
            (
                Decision(
                    about="InferenceAmiVersion",
                    choice=targets.ami or "none",
                    reason="the first whose driver supports the CUDA of the locked packages"
                    if targets.ami
                    else "none has a driver that runs the locked packages",
                ),
            )
            if "sagemaker" in targets.names and targets.gpu_affinity != targets.affinity
            else ()
        ),
        *(
            (
                Decision(
                    about="user of the image",
                    choice="root",
                    reason="SageMaker runs no other (its guide on inference code); all other "
                    "manifests name the user that containers run as",
                ),
            )
            if "sagemaker" in targets.names
            else ()
        ),
    )


def _explain_digest(targets: Targets, locked: LockedImage, row: PublishedImage | None) -> str:
    if row is None or not targets.published:
        return (
            f"{PUBLISHED_FILE} has nothing of it in {targets.repository}: manifests name a digest "
            "that no registry has, so that nothing runs before `envgen build --push`"
        )
    if row.lock != f"sha256:{locked.lock_sha256}":
        return f"{PUBLISHED_FILE}; it was built from another lock than the present one"
    return f"{PUBLISHED_FILE}, which `envgen build --push` wrote"


def _write_term(term: tuple[Expression, ...]) -> str:
    return " and ".join(f"{each.key} {each.operator} {', '.join(each.values)}" for each in term)
