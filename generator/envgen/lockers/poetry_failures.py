"""What a failed run of poetry amounts to. Pure."""

import logging
import re
from typing import Final

from envgen.errors import EnvgenError, LockError, NetworkError, ToolError

_log = logging.getLogger(__name__)

_JSON: Final = re.compile(
    r"^Expecting value: line \d+ column \d+|^Package \S+ \(\S+\) not found\.", re.MULTILINE
)
_NO_VERSION: Final = re.compile(r"depends on (\S+) \((.+?)\) which doesn't match any versions")
_UNSATISFIABLE: Final = re.compile(
    r"version solving failed|Incompatible constraints|unsatisfiable requirement"
)
_DENIED: Final = re.compile(r"40[13] Client Error|Authorization error")
_NO_NETWORK: Final = re.compile(
    r"All attempts to connect to|Max retries exceeded|timed out|Connection (?:refused|aborted)"
    r"|(?:429|50\d) (?:Client|Server) Error|Failed HTTP request|CERTIFICATE_VERIFY_FAILED",
    re.IGNORECASE,
)
_UNREADABLE: Final = re.compile(r"requirement is invalid|Invalid marker|Could not parse version")


def lacks_json_interface(stderr: str) -> bool:
    """Return whether PyPI's JSON interface, which only poetry uses, did not answer as PyPI does."""
    return bool(_JSON.search(stderr))


def explain_failure(image: str, stderr: str) -> EnvgenError:
    """Return the error that a failed run amounts to, with poetry's explanation trimmed."""
    key = f"images.{image}"
    why = trim(stderr)
    if _DENIED.search(stderr):
        return NetworkError.single(
            "the package index wants a login",
            key=key,
            why=why,
            fix="set ENVGEN_INDEX_USERNAME and ENVGEN_INDEX_PASSWORD",
        )
    missing = _NO_VERSION.search(stderr)
    if missing:
        name, constraint = missing[1], missing[2].replace("*", "")
        return LockError.single(
            f"there is no {name + ' ' + constraint if constraint else f'package {name!r}'}"
            " on the index",
            key=key,
            why=why,
            fix="check the spelling, or name the index that has it in network.index",
        )
    if _UNSATISFIABLE.search(stderr):
        return LockError.single(
            "its dependencies cannot be met together",
            key=key,
            why=why,
            fix="loosen one of the constraints that the last sentence names",
        )
    if _UNREADABLE.search(stderr):
        return LockError.single(
            "poetry cannot read one of its dependencies",
            key=key,
            why=why,
            fix="write it another way, or lock the image with uv or pip",
        )
    if lacks_json_interface(stderr):
        return NetworkError.single(
            "PyPI's JSON interface did not answer poetry",
            key=key,
            why=why,
            fix="name a simple index in network.index, or in POETRY_PYPI_MIRROR_URL if poetry has\n"
            "poetry-plugin-pypi-mirror",
        )
    if _NO_NETWORK.search(stderr):
        return NetworkError.single(
            "the package index did not answer",
            key=key,
            why=why,
            fix="check the network, the proxy variables, network.index and network.ca-certificates",
        )
    return ToolError.single("poetry failed", key=key, why=why)


_NOISE: Final = re.compile(
    r"\s*(?:\* Check your dependencies|For \S+, a possible solution|https?://python-poetry\.org"
    r"|You can also run your poetry command)"
)
_EXCLUDED: Final = re.compile(r"(?:,?!=[^,\s)]+){3,}")
_MOST_LINES: Final = 10


def trim(stderr: str) -> str:
    """Return poetry's own words without its advice, each once, and not all of a long text.

    Of a proof the end is kept, where the user's own requirements meet, and of anything else the
    beginning. Lists of versions that poetry has tried, one `!=` after the other, are cut.
    `--verbose` shows all of it.
    """
    _log.info("poetry said:\n%s", stderr.rstrip())
    told = (line.strip() for line in stderr.splitlines() if line.strip() and not _NOISE.match(line))
    lines = list(dict.fromkeys(_EXCLUDED.sub(",…", line) for line in told))
    left_out = len(lines) - _MOST_LINES
    if left_out <= 0:
        return "\n".join(lines)
    if "version solving failed" not in stderr:
        return "\n".join([*lines[:_MOST_LINES], f"… ({left_out} more lines)"])
    head = f"… ({left_out} lines of poetry's proof left out)"
    return "\n".join([head, *lines[-_MOST_LINES:]])
