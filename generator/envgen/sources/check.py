"""Holds an image to its spec and lock: labels, configuration, and the origin of every file."""

import tempfile
from pathlib import Path

import msgspec

from envgen.export.content import read_content
from envgen.image.fetch import fetch_image
from envgen.image.filesystem import FileSystem, stack_layers
from envgen.image.store import StoredImage
from envgen.lock.network import find_ca_certificates, find_mirrors
from envgen.plan.image import VENV
from envgen.plan.model import ImagePlan
from envgen.project import Project
from envgen.registry.reference import parse_reference
from envgen.sources.base import claim_base
from envgen.sources.bytecode import claim_bytecode
from envgen.sources.claims import Claims
from envgen.sources.downloads import Downloads
from envgen.sources.own import check_config, claim_own, claim_venv
from envgen.sources.wheels import Prefix, claim_wheels


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found.

    Attributes:
        problems: What is not what spec and lock give, in words.
        counts: How many files each origin answers for.
        notes: What was not compared.

    """

    problems: tuple[str, ...]
    counts: dict[str, int]
    notes: tuple[str, ...]


def check_project_files(stored: StoredImage, opened: Project, plan: ImagePlan) -> list[str]:
    """Return what of an image is not the project's, as far as no network is needed to tell."""
    claims = Claims(stack_layers(stored.layers))
    claim_own(claims, plan, opened.root)
    return [*check_config(stored.config, plan, opened.loaded), *claims.problems]


def check_sources(stored: StoredImage, opened: Project, plan: ImagePlan) -> Report:
    """Return where the files of an image come from, and what comes from nowhere.

    The base image and every wheel and conda package are fetched, and held to the lock's hashes.

    Raises:
        LockError: A served file is not the locked one.
        NetworkError: A file was not delivered.

    """
    claims = Claims(stack_layers(stored.layers))
    claims.problems += check_config(stored.config, plan, opened.loaded)
    platform = f"{stored.config['os']}/{stored.config['architecture']}"
    with tempfile.TemporaryDirectory(prefix="envgen-") as folder:
        scratch = Path(folder)
        claim_base(claims, _fetch_base(opened, plan, platform, scratch))
        claim_own(claims, plan, opened.root)
        _claim_packages(claims, opened, plan, platform, scratch)
    claim_bytecode(claims)
    claims.close()
    return Report(
        problems=tuple(claims.problems),
        counts=dict(sorted(claims.counts.items())),
        notes=tuple(claims.notes),
    )


def _fetch_base(opened: Project, plan: ImagePlan, platform: str, scratch: Path) -> FileSystem:
    image = fetch_image(
        parse_reference(plan.base.name).pinned(plan.base.digest),
        scratch,
        platform=platform,
        mirrors=find_mirrors(opened.loaded),
        ca_certificates=find_ca_certificates(opened.loaded),
    )
    return stack_layers(image.layers)


def _claim_packages(
    claims: Claims, opened: Project, plan: ImagePlan, platform: str, scratch: Path
) -> None:
    content = read_content(opened, plan.name)
    certificates = find_ca_certificates(opened.loaded)
    prefix = Prefix(VENV.strip("/"), plan.python)
    with Downloads(scratch, index=plan.index, ca_certificates=certificates) as downloads:
        if plan.conda is not None:
            from envgen.sources.conda import claim_conda  # noqa: PLC0415 - few images have it

            claim_conda(claims, content.packages, prefix, platform, downloads)
        else:
            claim_venv(claims, plan.python)
        claim_wheels(claims, content.packages, prefix, platform, downloads)
