"""The programs that image builds run, pinned: from the lock, else from envgen's own table."""

from collections.abc import Iterable, Iterator

from envgen.errors import ToolError
from envgen.lock.model import Lock, LockedTool
from envgen.lock.request import image_platforms
from envgen.spec.model import Spec
from envgen.tables import find_tool


def pin_tools(spec: Spec, current: Lock, *, upgrade: bool) -> Iterator[LockedTool]:
    """Yield what installs inside of builds: uv, and py-rattler for conda packages."""
    conda = [name for name, image in spec.images.items() if image.locker == "conda-lock"]
    yield _pin_tool("uv", spec, tuple(spec.images), current, upgrade=upgrade)
    if conda:
        yield _pin_tool("py-rattler", spec, conda, current, upgrade=upgrade)


def _pin_tool(
    name: str, spec: Spec, images: Iterable[str], current: Lock, *, upgrade: bool
) -> LockedTool:
    """Return a tool as the lock has it, else as the table has it."""
    platforms = dict.fromkeys(p for image in images for p in image_platforms(spec, image))
    kept = current.find_tool(name)
    if kept and not upgrade and platforms.keys() <= kept.sha256.keys():
        return kept
    rows = find_tool(name, platforms)
    if len(rows) < len(platforms):
        raise ToolError.single(f"no {name} is known for all of {', '.join(platforms)}")
    return LockedTool(
        name=name,
        version=rows[0].version,
        sha256={row.platform: row.sha256 for row in rows},
    )
