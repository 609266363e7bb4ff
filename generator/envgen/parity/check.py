"""All that parity looks at: what was published, what is on disk, and what was given."""

from collections.abc import Callable, Iterable, Iterator

from envgen.errors import Problem, UsageError
from envgen.parity.compare import compare
from envgen.parity.expected import describe_expected
from envgen.parity.model import Difference, Found
from envgen.parity.rendered_files import read_rendered
from envgen.plan.model import ImagePlan
from envgen.plan.targets.model import NAMES, Deployment, Targets
from envgen.release.published import PUBLISHED_FILE, PublishedImage


def check_image(
    image: ImagePlan, row: PublishedImage | None, read: Callable[[str], bytes | None]
) -> tuple[Difference, ...]:
    """Return every difference of an image's manifests on disk, each once.

    What is wrong in the base of Kubernetes is wrong in every overlay, and told of the base.
    """
    targets = image.targets
    if targets is None:
        return ()
    found = [*_check_published(image, targets, row)]
    for entry in read_rendered(image, targets, read):
        if isinstance(entry, Difference):
            found.append(entry)
        else:
            run, container = entry
            found += compare(image, run, container)
    told: dict[tuple[str, str, str, str], Difference] = {}
    for difference in found:
        identity = (difference.about, difference.key, difference.found, difference.expected)
        told.setdefault((*identity[:2], *identity[2:]), difference)
    return tuple(told.values())


def _check_published(
    image: ImagePlan, targets: Targets, row: PublishedImage | None
) -> Iterator[Difference]:
    lock = f"sha256:{image.lock_sha256}"
    if row is None or not targets.published:
        yield _describe_published(image, "", "repository", "", targets.repository)
    elif row.lock != lock:
        yield _describe_published(image, "lock", "lock", row.lock, lock)


def _describe_published(
    image: ImagePlan, key: str, about: str, found: str, expected: str
) -> Difference:
    return Difference(
        file=PUBLISHED_FILE,
        key=f"images.{image.name}.{key}".rstrip("."),
        about=f"published {about}",
        found=found,
        expected=expected,
        image=image.name,
        deployment="",
    )


def check_given(
    images: Iterable[ImagePlan], deployment: str, containers: Iterable[Found]
) -> Iterator[Difference]:
    """Yield every difference of containers that a person named.

    Raises:
        UsageError: Nobody said of which deployment they are, and it matters.

    """
    known = {image.name: image for image in images}
    for container in containers:
        image = known[container.image]
        assert image.targets is not None  # noqa: S101 - containers are of images with targets
        yield from compare(image, _choose(image, image.targets, deployment, container), container)


def _choose(image: ImagePlan, targets: Targets, name: str, container: Found) -> Deployment:
    if name:
        return targets.find(name)
    kind = container.kind
    wanted = [describe_expected(image, run, kind) for run in targets.deployments]
    told = [{group: each[group] for group in container.facts} for each in wanted]
    if any(each != told[0] for each in told):
        raise UsageError(
            Problem(
                what="nobody says which deployment it is of",
                file=container.file,
                why=f"the spec lets {', '.join(NAMES)} of {image.name} differ",
                fix=f"as --against prod={container.file}",
            )
        )
    return targets.find(NAMES[0])
