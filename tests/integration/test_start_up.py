"""What a check has to load: hooks run it at every commit, so each module is somebody's wait."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASE = Path(__file__).parents[1] / "golden" / "minimal"
HEAVY = {"logging", "packaging", "rich", "subprocess", "urllib3", "uv", "yaml"}
CHECK = """\
import sys
from envgen.cli import run
code = run(["render", "--check", "-C", sys.argv[1]])
print(code, *sorted(sys.modules))
"""


def test_a_check_loads_nothing_that_only_others_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(CASE)], capture_output=True, text=True, check=True
    )

    # The files of a golden case lie elsewhere: they are stale, once everything was compared.
    code, *modules = done.stdout.split()
    assert code == "1", done.stderr
    assert "envgen.render.files" in modules
    assert not HEAVY & set(modules)
