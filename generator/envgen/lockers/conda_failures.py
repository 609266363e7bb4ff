"""What the failures of conda-lock and of the programs around it mean."""

import logging
import re
from typing import Final

from envgen.errors import EnvgenError, LockError, NetworkError, ToolError
from envgen.lockers.conda_lock import NATIVE

_log = logging.getLogger(__name__)


def explain_records(image: str, stderr: str) -> EnvgenError:
    """Return the error that a failed `conda_records.py` amounts to."""
    last = (stderr.strip().splitlines() or ["it ended without a word"])[-1]
    if "GatewayError" in stderr:
        return _no_channel(image, last)
    return refuse_unreadable(image, last)


def refuse_unreadable(image: str, why: str) -> LockError:
    """Return the error that a damaged lock amounts to."""
    return LockError.single(
        f"{NATIVE} cannot be read",
        key=f"images.{image}",
        why=why,
        fix="run `python -m envgen lock --upgrade` to make a new one",
    )


def _no_channel(image: str, why: str) -> NetworkError:
    return NetworkError.single(
        "a conda channel did not answer",
        key=f"images.{image}.channels",
        why=why,
        fix="check its spelling, the network, the proxy variables and network.ca-certificates",
    )


_REFUSED: Final = re.compile(
    r"Could not lock the environment for platform (\S+)\n(.*?)\n? {4}Command: ", re.DOTALL
)
_NO_NETWORK: Final = re.compile(
    r"GatewayError|error sending request|dns error|Connection refused|ConnectionFailed"
    r"|CondaHTTPError|Could not resolve host|Download error|timed out",
    re.IGNORECASE,
)


def explain_failure(image: str, stderr: str) -> EnvgenError:
    """Return the error that a failed `conda-lock lock` amounts to."""
    _log.info("conda-lock said:\n%s", stderr.rstrip())
    found = _REFUSED.search(stderr)
    if found is None and "validation error for Lockfile" in stderr:
        return refuse_unreadable(image, "\n".join(stderr.strip().splitlines()[-4:]))
    if found is None:
        last = "\n".join(stderr.strip().splitlines()[-8:])
        return ToolError.single("conda-lock failed", key=f"images.{image}", why=last)
    if "'success': True" in found[2]:
        return ToolError.single(
            "the program that solves for conda-lock failed after it had answered",
            key=f"images.{image}",
        )
    platform, message = found[1], re.sub(r"^\w+Error: ", "", found[2].strip())
    if _NO_NETWORK.search(found[2]):
        return _no_channel(image, message)
    return LockError.single(
        f"its conda packages cannot be had together on {platform}",
        key=f"images.{image}.conda",
        why=message,
        fix="loosen one of the MatchSpecs that are named, or add the channel that has the package",
    )
