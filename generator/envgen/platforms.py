"""What other programs call the platforms that images are built for."""

from typing import Final, Literal

MACHINES: Final[dict[str, Literal["x86_64", "aarch64"]]] = {
    "linux/amd64": "x86_64",
    "linux/arm64": "aarch64",
}
"""The kernel's names, which wheel tags and markers use."""

SUBDIRS: Final = {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}
"""The folders of a conda channel."""
