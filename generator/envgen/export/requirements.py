"""requirements.txt with a hash for every file, as `pip install --require-hashes` reads it."""

from envgen.export import HEADER, LockedContent
from envgen.export.hashes import list_files, refuse_conda
from envgen.lock.packages import LockedPackage
from envgen.rendered import seal


def render(content: LockedContent) -> bytes:
    """Return a sealed requirements.txt.

    Raises:
        LockError: The image has conda packages, or a file has no SHA-256.

    """
    refuse_conda(content, "requirements.txt")
    header = f"{HEADER}\nFor Python {content.python} on {' and '.join(content.platforms)}."
    body = [f"--index-url {content.index}\n"] if content.index else []
    body += [f"--extra-index-url {index}\n" for index in content.indexes]
    body += [_requirement(package) for package in content.packages]
    return seal(header, "".join(body) or "\n")


def _requirement(package: LockedPackage) -> str:
    marker = f" ; {package.marker}" if package.marker else ""
    digests = sorted({file.sha256 for file in list_files(package)})
    words = [f"{package.name}=={package.version}{marker}"]
    words += [f"--hash=sha256:{digest}" for digest in digests]
    return " \\\n    ".join(words) + "\n"
