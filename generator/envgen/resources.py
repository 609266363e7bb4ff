"""Where the package's data files are: beside the modules in a wheel, above them in a checkout."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent


def _find(name: str) -> Path:
    for candidate in (_PACKAGE / name, _PACKAGE.parents[1] / name):
        if candidate.is_dir():
            return candidate
    msg = f"envgen is installed without its {name}/ directory"
    raise FileNotFoundError(msg)


TEMPLATES: Final = _find("templates")
PRESETS: Final = _find("presets")
RUNTIME: Final = _PACKAGE / "runtime"
"""The plain files that go into images, copied as they are."""
FINISH_LAYER: Final = _PACKAGE / "render" / "finish_layer.py"
"""The script that finishes layers in a build, copied as it is."""
APT_INSTALL: Final = _PACKAGE / "apt" / "install.py"
"""The script that fetches OS packages in a build and finds what they changed, copied as it is."""
BUNDLE_OFFLINE: Final = _PACKAGE / "bundle" / "offline.py"
"""The script that serves a bundle to a build step without a network, copied as it is."""
COPY_PYTHON: Final = _PACKAGE / "render" / "copy_python.py"
"""The script that copies a Python from one image to another in a build, copied as it is."""
CONDA_INSTALL: Final = _PACKAGE / "lockers" / "conda_install.py"
"""The script that installs conda packages in a build, copied as it is."""
