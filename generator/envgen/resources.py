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
CONDA_INSTALL: Final = _PACKAGE / "lockers" / "conda_install.py"
"""The script that installs conda packages in a build, copied as it is."""
