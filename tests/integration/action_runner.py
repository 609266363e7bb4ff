"""The steps of action.yml, run as a runner does: bash, and files for what they tell.

What is not here is GitHub: `gh` is a program of the tests' own that keeps what it was asked.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
GH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$GH_ASKED"
case "$*" in *--paginate*) cat "$GH_COMMENTS" ;; esac
"""


class Runner:
    """One job on a machine of GitHub's."""

    def __init__(self, folder: Path, workspace: Path, **inputs: str) -> None:
        self.workspace = workspace
        self.inputs = {name: str(i.get("default", "")) for name, i in ACTION["inputs"].items()}
        self.inputs |= {name.replace("_", "-"): value for name, value in inputs.items()}
        self.event: dict[str, str] = {}
        self.folder = folder
        (folder / "temp").mkdir(parents=True)
        (folder / "bin").mkdir()
        gh = folder / "bin" / "gh"
        gh.write_text(GH)
        gh.chmod(0o755)
        for name in ("summary", "output", "asked"):
            (folder / name).touch()
        (folder / "comments").write_text("[]")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.read("output").splitlines())

    def expand(self, text: str) -> str:
        """Return what the runner makes of an expression; the action's are plain ones."""

        def look_up(found: re.Match[str]) -> str:
            for name in re.split(r"\s*\|\|\s*", found[1]):
                value = self.event.get(name) or self.inputs.get(name.removeprefix("inputs."), "")
                if value:
                    return value
            return ""

        return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", look_up, text)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        step: dict[str, Any] = STEPS[name]
        env = {key: self.expand(value) for key, value in step.get("env", {}).items()}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
        return subprocess.run(
            # As the runner starts `shell: bash`.
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env=kept
            | {
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_OUTPUT": str(self.folder / "output"),
                "GITHUB_REPOSITORY": "owner/name",
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                "GH_ASKED": str(self.folder / "asked"),
                "GH_COMMENTS": str(self.folder / "comments"),
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "RUNNER_TEMP": str(self.folder / "temp"),
            }
            | env,
            capture_output=True,
            text=True,
            check=False,
        )
