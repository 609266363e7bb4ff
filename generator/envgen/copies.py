"""What the spec names on disk has to be there, before anyone waits for a lock or a build."""

from envgen.errors import Problem, SpecError
from envgen.spec.load import LoadedSpec


def require_copies(loaded: LoadedSpec) -> None:
    """Refuse a spec whose `copy` or CA bundle names what does not exist.

    Raises:
        SpecError: With every missing file.

    """
    problems = [
        Problem(
            what=f"{path} does not exist",
            file=loaded.file,
            key=f"{loaded.prefix}images.{name}.copy[{n}]",
            fix="create it, or take it out of the list",
        )
        for name, image in loaded.spec.images.items()
        for n, path in enumerate(image.copy_)
        if not (loaded.root / path).exists()
    ]
    bundle = loaded.spec.network.ca_certificates
    if bundle and not (loaded.root / bundle).is_file():
        problems.append(
            Problem(
                what=f"{bundle} does not exist",
                file=loaded.file,
                key=f"{loaded.prefix}network.ca-certificates",
                fix="name a PEM file, relative to the spec",
            )
        )
    if problems:
        raise SpecError(*problems)
