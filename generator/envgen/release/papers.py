"""What goes with an image into its registry: bills of materials, and where it comes from."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from envgen.export import export
from envgen.export.content import read_content
from envgen.image.push import Attachment
from envgen.plan.model import ImagePlan
from envgen.project import Project
from envgen.release.provenance import PREDICATE_TYPE, STATEMENT_TYPE, make_provenance


def list_papers(
    opened: Project,
    plan: ImagePlan,
    digest: str,
    *,
    name: str,
    revision: str,
    canonical: Mapping[str, str] = MappingProxyType({}),
    annotations: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Attachment]:
    """Yield what is attached, each under the media type that scanners and policies look for.

    The provenance comes last: who finds it finds the others, too.

    Args:
        opened: The project that the image was built from.
        plan: The image.
        digest: Of the image, as the registry has it.
        name: Of the repository: registry and path.
        revision: The commit that it was built from; empty where it is not known.
        canonical: The canonical digest of each platform's image, where `digest` is another.
        annotations: What those who list the papers are told with the provenance.

    Raises:
        LockError: A file of the lock is missing or damaged.

    """
    content = read_content(opened, plan.name)
    yield Attachment(
        artifact_type="application/vnd.cyclonedx+json", content=export("cyclonedx", content)
    )
    yield Attachment(artifact_type="application/spdx+json", content=export("spdx", content))
    yield Attachment(
        artifact_type=STATEMENT_TYPE,
        content=make_provenance(
            opened, plan, digest, name=name, revision=revision, canonical=canonical
        ),
        annotations={"in-toto.io/predicate-type": PREDICATE_TYPE, **annotations},
    )
