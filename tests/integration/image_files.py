"""What two builds of an image may differ in, and what not."""

from __future__ import annotations

import json
import subprocess

_LIST = """\
import hashlib, json, os
found = {}
for folder, _, names in os.walk("/opt/venv"):
    for name in names:
        path = os.path.join(folder, name)
        info = os.lstat(path)
        link = os.path.islink(path)
        data = os.readlink(path).encode() if link else open(path, "rb").read()
        found[path] = [hashlib.sha256(data).hexdigest(), info.st_mode, info.st_uid, info.st_mtime]
print(json.dumps(found))
"""


def differing_files(one: str, other: str) -> list[str]:
    """Return the files below /opt/venv that differ between two images, bytecode left out.

    CPython 3.12 and 3.13 write one .pyc file in some thousands differently now and then, whatever
    the order of compilation (github.com/python/cpython/issues/129724).
    """
    before, after = _list_files(one), _list_files(other)
    assert before
    differing = {path for path in before | after if before.get(path) != after.get(path)}
    return sorted(path for path in differing if not path.endswith(".pyc"))


def _list_files(image: str) -> dict[str, list[str | int | float]]:
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=python", image, "-c", _LIST]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str | int | float]] = json.loads(done.stdout)
    return found
