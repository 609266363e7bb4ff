"""Output targets that plugins bring: manifests that envgen does not know itself."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from envgen.errors import ToolError
from envgen.plan.model import ImagePlan
from envgen.plan.targets.model import Targets
from envgen.plugins import load_plugin

# No file of envgen's own, nor of another plugin, can be meant.
_PATH: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class TargetPlugin(Protocol):
    """What the entry point of a target names."""

    def render(self, image: ImagePlan, targets: Targets) -> Iterable[tuple[str, str]]:
        """Yield the files of an image: path below the target's folder, and text.

        It has to be pure, as rendering is: no clock, no network, nothing of this machine, or
        `render --check` fails on the next one. `#` has to begin a comment in the text, because
        every file starts with two lines that name envgen and seal it.
        """


def render_plugin(name: str, image: ImagePlan, targets: Targets) -> Iterator[tuple[str, str]]:
    """Yield what a plugin renders, each below a folder with the target's name.

    Raises:
        ToolError: It is not installed, fails, or names a file elsewhere.

    """
    plugin: TargetPlugin = load_plugin("envgen.targets", name)
    try:
        files = tuple(plugin.render(image, targets))
    except Exception as error:
        raise ToolError.single(
            f"the plugin {name!r} does not render {image.name}",
            why=f"{type(error).__name__}: {error}",
            fix="report it to the plugin's authors",
        ) from error
    for path, text in files:
        if not _PATH.fullmatch(path) or not text.endswith("\n"):
            raise ToolError.single(
                f"the plugin {name!r} renders {path!r}, which cannot be written",
                why="files lie below the target's folder, and are text that ends in a newline",
                fix="report it to the plugin's authors",
            )
        yield f"{name}/{path}", text
