"""A build hook for hatchling that writes spec and lock hashes into a wheel's metadata.

    [build-system]
    requires = ["hatchling", "hatch-envgen"]
    build-backend = "hatchling.build"

    [tool.hatch.build.targets.wheel.hooks.envgen]

The wheel then has `extra_metadata/envgen.json` in its dist-info folder: from an installed package
one gets back to the spec, to the lock and to the images that it was developed for.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

FILE = "envgen.json"


class EnvgenBuildHook(BuildHookInterface[Any]):
    """Adds the file. It asks nobody, and runs no locker."""

    PLUGIN_NAME = "envgen"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        self._folder = Path(tempfile.mkdtemp(prefix="envgen-"))
        path = self._folder / FILE
        path.write_text(json.dumps(describe(Path(self.root)), indent=2) + "\n", encoding="utf-8")
        build_data["extra_metadata"][str(path)] = FILE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del version, build_data, artifact_path
        if folder := getattr(self, "_folder", None):
            shutil.rmtree(folder, ignore_errors=True)


def describe(root: Path) -> dict[str, Any]:
    """Return what a wheel says of the environment that its project declares.

    Raises:
        EnvgenError: There is no spec, or it is not locked as it stands: such a wheel would name
            environments that nobody has.

    """
    from envgen.project import open_project, require_locked  # noqa: PLC0415 - wheels only

    opened = open_project(root, ())
    require_locked(opened)
    lock = opened.read("envgen.lock") or b""
    return {
        "format": 1,
        "spec": {"file": opened.loaded.file, "sha256": opened.loaded.sha256},
        "lock": {"file": "envgen.lock", "sha256": hashlib.sha256(lock).hexdigest()},
        "images": {
            name: {"locker": image.locker, "lock-sha256": image.lock_sha256}
            for name, image in sorted(opened.lock.images.items())
        },
    }


@hookimpl
def hatch_register_build_hook() -> type[EnvgenBuildHook]:
    return EnvgenBuildHook
