"""How values are written into Dockerfiles, so that none can leave its place.

The spec has refused control characters already (`spec.forms`): what is left is quoted here.
"""

import json
from collections.abc import Sequence
from typing import Final

_ESCAPED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$"})


def quote(value: str) -> str:
    """Return the value of an ENV or LABEL in double quotes, with nothing left to substitute.

    Inside double quotes a Dockerfile knows backslash, quote and `$`
    (docs.docker.com/reference/dockerfile, "Environment replacement").
    """
    return f'"{value.translate(_ESCAPED)}"'


def quote_words(words: Sequence[str]) -> str:
    """Return words in exec form, which is a JSON array."""
    return json.dumps(list(words), ensure_ascii=False)
