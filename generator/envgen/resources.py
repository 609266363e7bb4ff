"""Where the package's data files are, in a wheel and in a checkout, and how tables are read."""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from envgen.errors import EnvgenError

_Table = TypeVar("_Table")

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


def read_data(file: Path, form: type[_Table]) -> _Table:
    """Return what a table under presets/data holds, in its form.

    Raises:
        EnvgenError: The table is damaged.

    """
    import tomllib  # noqa: PLC0415 - most commands read no table

    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), form)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise EnvgenError.single(str(error), file=file.name) from error
