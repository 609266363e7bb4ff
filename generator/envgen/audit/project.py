"""The audit of a project: the locked packages of its images, asked about in one go."""

from collections.abc import Iterable

from envgen.audit.age import age_in_days
from envgen.audit.image import ImageAudit, audit_image, public_key
from envgen.audit.osv import Service
from envgen.lock.network import find_ca_certificates
from envgen.lock.request import image_folder
from envgen.lock.stored import read_packages
from envgen.project import Project, require_lock


def audit_project(opened: Project) -> tuple[ImageAudit, ...]:
    """Return the audit of each image in question.

    Raises:
        LockError: An image has no lock, or one that cannot be read.
        NetworkError: The database of vulnerabilities did not answer.

    """
    require_lock(opened)
    locked = {name: opened.lock.images[name] for name in opened.images}
    packages = {name: read_packages(name, image, opened.read) for name, image in locked.items()}
    keys = (public_key(package) for found in packages.values() for package in found)
    with Service(ca_certificates=find_ca_certificates(opened.loaded)) as service:
        documents = service.find(key for key in keys if key)
    return tuple(
        audit_image(
            name,
            packages[name],
            documents,
            age_days=age_in_days(
                opened.root, [f"{image_folder(name)}/{layer.file}" for layer in image.layers]
            ),
        )
        for name, image in locked.items()
    )


def fixable(audits: Iterable[ImageAudit]) -> dict[str, tuple[str, ...]]:
    """Return the packages of each image for which a release without the vulnerability exists."""
    found = {
        audit.image: tuple(
            package.name
            for package in audit.vulnerable
            if any(advisory.fixed for advisory in package.advisories)
        )
        for audit in audits
    }
    return {image: names for image, names in found.items() if names}
