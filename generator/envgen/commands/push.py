"""`envgen push`: a built image in its canonical form into a registry, with its papers."""

import argparse
from collections.abc import Callable
from typing import Final

from envgen import process, project
from envgen.commands.render import check_project
from envgen.console import Console
from envgen.errors import MismatchError, ToolError, UsageError
from envgen.image.canonical import REVISION_LABEL, CanonicalImage
from envgen.image.mismatch import shorten
from envgen.image.open import open_built
from envgen.image.push import Attachment, attach, describe_manifest, open_writer, push_image
from envgen.image.record import canonical_form, describe
from envgen.image.store import StoredImage
from envgen.lock.network import find_ca_certificates
from envgen.plan.model import ImagePlan
from envgen.project import Project
from envgen.registry.reference import ImageReference, parse_reference
from envgen.release.papers import list_papers
from envgen.sources.check import check_project_files

EXAMPLES: Final = """\
  python -m envgen push serve registry.example/serve:1
  python -m envgen push serve registry.example/serve:1 --sign"""

_SIGN_TIMEOUT_S: Final = 600  # a person may have to answer in a browser


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="which image of the spec it is")
    parser.add_argument("reference", metavar="REF", help="where to, as registry.example/serve:1")
    parser.add_argument(
        "--from",
        dest="built",
        metavar="NAME",
        help="what the engine calls it (default: PROJECT-IMAGE, as `build` does)",
    )
    parser.add_argument(
        "--no-attach",
        action="store_true",
        help="attach neither bills of materials (CycloneDX, SPDX) nor the provenance",
    )
    parser.add_argument(
        "--sign", action="store_true", help="sign the image and what is attached with cosign"
    )
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    reference = _parse(arguments.reference)
    cosign = _find_cosign() if arguments.sign else ""
    opened = project.open_project(arguments.directory, [arguments.image])
    check_project(opened)
    (plan,) = project.plan_project(opened).images
    name = arguments.built or f"{opened.loaded.spec.project.name.lower()}-{plan.name}"
    console.note(f"reading {name}")
    with open_built(name) as stored:
        _require_current(stored, opened, plan, name)
        image = canonical_form(stored)
        papers = [] if arguments.no_attach else _papers(opened, plan, stored, image, reference)
        sent, attached = _push(reference, image, papers, opened, console.note)
    pinned = str(reference.pinned(image.digest))
    if cosign:
        _sign(cosign, [pinned, *(str(reference.pinned(digest)) for digest in attached)], console)
    data = {"image": plan.name, "reference": pinned, "sent-bytes": sent, "attached": attached}
    console.result(pinned, {**data, **describe(image)})
    return 0


def _push(
    reference: ImageReference,
    image: CanonicalImage,
    papers: list[Attachment],
    opened: Project,
    report: Callable[[str], None],
) -> tuple[int, list[str]]:
    certificates = find_ca_certificates(opened.loaded)
    with open_writer(reference, ca_certificates=certificates) as writer:
        push_image(writer, image, report=report)
        sent = writer.sent_bytes
        subject = describe_manifest(image)
        return sent, [attach(writer, subject, paper) for paper in papers]


def _papers(
    opened: Project,
    plan: ImagePlan,
    stored: StoredImage,
    image: CanonicalImage,
    reference: ImageReference,
) -> list[Attachment]:
    name = f"{reference.registry}/{reference.repository}"
    revision = _labels(stored).get(REVISION_LABEL, "")
    return list(list_papers(opened, plan, image.digest, name=name, revision=revision))


def _require_current(stored: StoredImage, opened: Project, plan: ImagePlan, name: str) -> None:
    """Refuse an image of another state of the project: its papers would not be true.

    Raises:
        MismatchError: A label, a setting or a file is not the project's.

    """
    problems = check_project_files(stored, opened, plan)
    if problems:
        raise MismatchError.single(
            f"{name} was not built from the project as it is",
            why=shorten(problems, "problem"),
            fix=f"run `python -m envgen build {plan.name}`",
        )


def _labels(stored: StoredImage) -> dict[str, str]:
    return (stored.config.get("config") or {}).get("Labels") or {}


def _parse(text: str) -> ImageReference:
    try:
        reference = parse_reference(text)
    except ValueError as error:
        raise UsageError.single(
            f"{text} is not a name for an image", why=str(error), fix="as registry.example/serve:1"
        ) from error
    if reference.digest:
        raise UsageError.single(
            "the digest is the image's own", why=f"{text} has one", fix="name a tag, or neither"
        )
    return reference


def _find_cosign() -> str:
    return process.find_program(
        "cosign",
        why="--sign runs it",
        fix="install it (https://docs.sigstore.dev/cosign/system_config/installation/)",
    )


def _sign(cosign: str, references: list[str], console: Console) -> None:
    """Sign digests with cosign, which finds its key or identity as its user has set it up.

    Raises:
        ToolError: It does not sign.

    """
    console.note(f"signing {len(references)} digests with cosign")
    done = process.run(
        [cosign, "sign", "--yes", *references],
        timeout_s=_SIGN_TIMEOUT_S,
        passthrough=not (console.as_json or console.quiet),
    )
    if done.returncode:
        raise ToolError.single(
            "cosign did not sign; the image is pushed without a signature",
            why=done.stderr.strip(),
            fix="set it up (a key needs COSIGN_KEY), or sign the digests by hand: "
            + " ".join(references),
        )
