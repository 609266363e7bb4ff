"""Which environment a run ran in: image, lock, packages, variables, and what the self-test says."""

from __future__ import annotations

import os
import platform
import sys

from envgen_runtime import state, switches
from envgen_runtime.manifest.document import missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IMAGE, DIGEST = "ENVGEN_IMAGE", "ENVGEN_IMAGE_DIGEST"
"""Set by what starts the container: an image cannot hold its own digest."""


def describe_environment() -> dict[str, Any]:
    """Return image digest, lock hash, versions, and the variables that can change a result."""
    unknown = missing(f"{DIGEST} is not set; manifests that envgen renders set it")
    return {
        "image": os.environ.get(IMAGE) or missing(f"{IMAGE} is not set"),
        "image_digest": os.environ.get(DIGEST) or unknown,
        "lock": f"sha256:{state.lock_hash()}" if state.lock_hash() else missing(_NO_LOCK),
        "python": platform.python_version(),
        "libc": " ".join(platform.libc_ver()) or missing("it does not tell its version"),
        "packages": _packages(),
        "variables": {name: os.environ[name] for name in state.VARIABLES if name in os.environ},
    }


_NO_LOCK = "this is no image that envgen made"


def describe_determinism(verdict: str | None) -> dict[str, Any]:
    """Return the mode in force and the first line of what the self-test found.

    Args:
        verdict: The cached verdict; None where the test has not run in this container.

    """
    try:
        mode: Any = switches.mode()
    except switches.SwitchError as error:
        mode = missing(str(error))
    if "ENVGEN_SELFTEST" not in os.environ:
        mode = missing("ENVGEN_SELFTEST is not set")
    untested = missing("the self-test has not run since this container started")
    return {"mode": mode, "verdict": verdict.splitlines()[0] if verdict else untested}


def _packages() -> dict[str, str]:
    """Return the versions of what the image's Python has installed."""
    from importlib import metadata

    found = {}
    for distribution in metadata.distributions(path=_site_packages()):
        name = distribution.metadata["Name"]
        if name:
            found[name.lower().replace("_", "-")] = distribution.version
    return dict(sorted(found.items()))


def _site_packages() -> list[str]:
    """Return the folders of installed packages; never the working directory."""
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
