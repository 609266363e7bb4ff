"""The frameworks that the self-test knows."""

from __future__ import annotations

from importlib.util import find_spec

FRAMEWORKS = ("numpy", "torch")
"""Import names. Each has a module <name>_workloads with version(), devices(), workloads() and
controls(), which only a worker process imports, because it imports the framework."""


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
    return ("plain", *(name for name in FRAMEWORKS if location(name) is not None))
