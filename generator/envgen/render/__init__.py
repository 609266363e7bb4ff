"""From a plan to files: the fourth stage of the flow. Pure: the same plan gives the same bytes."""

from envgen.render.files import render

__all__ = ["render"]
