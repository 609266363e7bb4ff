# /// script
# requires-python = ">=3.11"
# dependencies = ["envgen"]
#
# [tool.uv.sources]
# envgen = { path = "../..", editable = true }
# ///
"""Lock the tools of presets/data/tools/ anew and show what has changed.

    python generator/bin/update_tool_locks.py [--write] [TOOL …]

Each `<tool>.in` says what runs the tool; `<tool>.txt` beside it is what uv makes of it, with the
hash of every file, for every platform and every Python that envgen runs on. It names no index.
"""

import argparse
import difflib
import re
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from envgen.errors import EnvgenError, ToolError
from envgen.lockers.uv_program import find_uv
from envgen.process import run
from envgen.resources import PRESETS

FOLDER = PRESETS / "data" / "tools"
OLDEST_PYTHON = "3.11"


def resolve(wanted: Path) -> str:
    """Return the newest hash-locked requirements for a `.in` file.

    Raises:
        ToolError: uv found none.

    """
    options = ["--universal", f"--python-version={OLDEST_PYTHON}", "--upgrade"]
    options += ["--generate-hashes", "--no-header", "--no-annotate", "--no-config", "--quiet"]
    # Tools are installed without building anything, so each needs a wheel.
    options += ["--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "requirements.txt")
        done = run([find_uv(), "pip", "compile", *options, f"--output-file={output}", wanted])
        if done.returncode:
            raise ToolError.single(f"uv cannot lock {wanted.name}", why=done.stderr)
        return output.read_text(encoding="utf-8")


def read_pins(text: str) -> dict[str, Version]:
    """Return the pins of a requirements file, by name; of several the newest.

    Raises:
        EnvgenError: A pin has no hash, or a line is neither a pin, a hash nor a comment.

    """
    pins: dict[str, Version] = {}
    for line in text.replace("\\\n", "").splitlines():
        requirement, *hashes = re.split(r"\s+--hash=sha256:", line.partition("#")[0].strip())
        if not requirement:
            continue
        found = re.match(r"([a-z0-9-]+)==([^\s;]+)", requirement)
        if found is None or not hashes:
            raise EnvgenError.single(f"is not a pin with hashes: {requirement!r}")
        version = Version(found[2])
        pins[found[1]] = max(version, pins.get(found[1], version))
    return pins


def read_wanted(text: str) -> dict[str, Requirement]:
    """Return the requirements of a `.in` file, by name."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    wanted = (Requirement(line) for line in lines if line)
    return {requirement.name: requirement for requirement in wanted}


def check(wanted: dict[str, Requirement], old: dict[str, Version], new: dict[str, Version]) -> None:
    """Refuse a lock that lacks what is wanted, or that goes back.

    Raises:
        EnvgenError: With everything that is wrong.

    """
    for name, requirement in wanted.items():
        if name not in new or not requirement.specifier.contains(new[name], prereleases=True):
            raise EnvgenError.single(f"{requirement} is not met by {new.get(name, 'nothing')}")
        if name in old and new[name] < old[name]:
            raise EnvgenError.single(f"{name} would go back from {old[name]} to {new[name]}")


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the locks")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help="all of the folder when not given")
    arguments = parser.parse_args()

    folder: Path = arguments.folder
    tools = arguments.tools or sorted(path.stem for path in folder.glob("*.in"))
    for tool in tools:
        wanted, locked = folder / f"{tool}.in", folder / f"{tool}.txt"
        old = locked.read_text(encoding="utf-8") if locked.exists() else ""
        new = resolve(wanted)
        check(read_wanted(wanted.read_text(encoding="utf-8")), read_pins(old), read_pins(new))
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
        sys.stdout.writelines(difflib.unified_diff(before, after, locked.name, locked.name))
        if arguments.write:
            locked.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
