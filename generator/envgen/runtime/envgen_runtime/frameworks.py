"""The frameworks that the self-test knows."""

from __future__ import annotations

import os
from importlib.util import find_spec

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")
"""Import names; plugins of envgen add files for others.

Each has a module <name>_workloads, which only a worker process imports, because it imports the
framework. Such a module has

- configure(mode): sets the framework's deterministic mode: `strict`, `warn` or `off`;
- version() and devices(): what there is;
- workloads(): what to run on which device;
- controls(): evidence that a device varies when it is allowed to;
- poison(device): fills the memory that the framework's own allocator holds with rubbish;
- companion(device): a short piece of other work for that device.
"""


def location(name: str) -> str | None:
    """Return the file that `import name` would load, without importing it."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    # A namespace package has no file: some data folder that happens to have the name.
    return spec.origin if spec is not None else None


def found() -> tuple[str, ...]:
    """Return what can be tested here: plain Python always, then the installed frameworks."""
    names = (*FRAMEWORKS, *_added())
    return ("plain", *(name for name in names if location(name) is not None))


def _added() -> list[str]:
    """Return the names that files beside this one add to the frameworks."""
    suffix = "_workloads.py"
    files = os.listdir(os.path.dirname(__file__))
    names = {name[: -len(suffix)] for name in files if name.endswith(suffix)}
    return sorted(names - {"plain", *FRAMEWORKS})
