"""Reading YAML without guessing types: `3.10` stays the text that its author wrote."""

from collections.abc import Mapping
from typing import Any

from envgen.adopt.found import Gathering, read_text
from envgen.errors import SpecError


def parse_yaml(gathering: Gathering) -> Mapping[str, Any]:
    """Return the mapping of a YAML file; every scalar in it is a string.

    Raises:
        SpecError: It is not YAML, or something else than a mapping.

    """
    import yaml  # noqa: PLC0415 - only YAML files need it

    try:
        document = yaml.load(read_text(gathering.path), Loader=yaml.BaseLoader)  # noqa: S506 - only strings
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError.single(
            "is not valid YAML", file=gathering.path.name, why=str(error)
        ) from error
    if not isinstance(document, dict):
        raise SpecError.single("is not a mapping", file=gathering.path.name)
    return document
