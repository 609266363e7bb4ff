"""Toolkit releases and their drivers are read from the index and from NVIDIA's table."""

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]


def load() -> ModuleType:
    path = ROOT / "generator" / "bin" / "update_cuda_toolkits.py"
    spec = importlib.util.spec_from_file_location("update_cuda_toolkits", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["update_cuda_toolkits"] = module
    spec.loader.exec_module(module)
    return module


script = load()

TABLE = """\
# head

toolkit = [
  { version = "12.9.1", linux_driver = "575.57.08", windows_driver = "", source = "s" },
  { version = "13.4.3", linux_driver = "", windows_driver = "", source = "s" },
]

minor_version_compatibility = [
  { major = 12 },
]
"""


def test_versions_of_the_index_lose_their_build_number() -> None:
    text = "cuda-toolkit (13.5.0)\nAvailable versions: 13.5.0, 13.4.1.0, 13.4.1, 12.9.2.0\n"
    assert script.parse_versions(text) == ("13.5.0", "13.4.1", "12.9.2")
    assert script.parse_versions("ERROR: No matching distribution") == ()


def test_rows_of_the_release_notes_are_read() -> None:
    text = """
    CUDA 13.2 Update 2   >=595.71.05   N/A
    CUDA 12.8 GA         >=570.26      >=570.65
    CUDA 11.4.0 GA       >=470.42.01   >=471.11
    """
    assert script.parse_notes(text) == {
        "13.2.2": ("595.71.05", ""),
        "12.8.0": ("570.26", "570.65"),
        "11.4.0": ("470.42.01", "471.11"),
    }


def test_new_release_gets_a_row_and_a_known_driver_stays() -> None:
    merged = script.merge(TABLE, ("13.5.0", "12.9.1"), {"13.4.3": ("615.71.09", "")})
    rows = {row["version"]: row for row in tomllib.loads(merged)["toolkit"]}
    assert list(rows) == ["12.9.1", "13.4.3", "13.5.0"]
    assert rows["12.9.1"]["linux_driver"] == "575.57.08"
    assert (rows["13.4.3"]["linux_driver"], rows["13.4.3"]["verified"]) == ("615.71.09", True)
    assert (rows["13.5.0"]["linux_driver"], rows["13.5.0"]["verified"]) == ("", False)
    assert merged.endswith("  { major = 12 },\n]\n")


def test_nothing_new_changes_nothing() -> None:
    assert script.merge(TABLE, ("12.9.1", "13.4.3", "11.0.1"), {}) == TABLE
