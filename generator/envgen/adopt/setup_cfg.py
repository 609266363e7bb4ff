"""setup.cfg of setuptools: `install_requires` and what else has a place in a spec."""

import configparser

from envgen.adopt.found import Gathering, read_text
from envgen.adopt.requirements import join_lines, read_requirement_lines
from envgen.errors import SpecError


def read_setup_cfg(gathering: Gathering) -> None:
    """Gather a setup.cfg.

    Raises:
        SpecError: It is not an INI file.

    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(gathering.path))
    except configparser.Error as error:
        raise SpecError.single(
            "is not an INI file", file=gathering.path.name, why=str(error)
        ) from error
    gathering.name = parser.get("metadata", "name", fallback="")
    gathering.python = parser.get("options", "python_requires", fallback="")
    _take_requirements(gathering, parser.get("options", "install_requires", fallback=""))
    section = "options.extras_require"
    extras = parser.options(section) if parser.has_section(section) else []
    gathering.leave_extras(extras)
    for key in ("setup_requires", "tests_require"):
        lines = join_lines(parser.get("options", key, fallback=""))
        gathering.leave_for_development(key, [line for _, line in lines])


def _take_requirements(gathering: Gathering, text: str) -> None:
    if not text.strip().startswith("file:"):
        read_requirement_lines(gathering, text, gathering.path.name)
        return
    for name in text.strip().removeprefix("file:").replace("\n", ",").split(","):
        if name.strip():
            read_requirement_lines(gathering, f"-r {name.strip()}", gathering.path.name)
