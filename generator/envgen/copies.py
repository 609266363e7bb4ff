"""What `copy` names has to be there, before anyone waits for a build to say that it is not."""

from envgen.errors import Problem, SpecError
from envgen.plan.model import Plan
from envgen.spec.load import LoadedSpec


def require_copies(loaded: LoadedSpec, plan: Plan) -> None:
    """Refuse a plan that copies what does not exist, or a CA bundle that does not.

    Raises:
        SpecError: With every missing file.

    """
    problems = [
        Problem(
            what=f"{path} does not exist",
            file=loaded.file,
            key=f"images.{image.name}.copy",
            fix="create it, or take it out of the list",
        )
        for image in plan.images
        for path in image.copies
        if not (loaded.root / path).exists()
    ]
    bundle = loaded.spec.network.ca_certificates
    if bundle and not (loaded.root / bundle).is_file():
        problems.append(
            Problem(
                what=f"{bundle} does not exist",
                file=loaded.file,
                key="network.ca-certificates",
                fix="name a PEM file, relative to the spec",
            )
        )
    if problems:
        raise SpecError(*problems)
