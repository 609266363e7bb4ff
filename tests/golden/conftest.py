"""The cases: a folder with a spec and its lock, and in expected/ what is rendered from them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envgen.spec.load import load_spec

if TYPE_CHECKING:
    from tests.conftest import Project

GOLDEN = Path(__file__).parent
CASES = sorted(path.name for path in GOLDEN.iterdir() if (path / "expected").is_dir())


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a case."""
    return GOLDEN / str(request.param)


@pytest.fixture
def copied(case: Path, project: Project) -> Project:
    """Return a copy of a case's spec and lock, with the files that it copies."""
    shutil.rmtree(project.root)
    shutil.copytree(case, project.root, ignore=shutil.ignore_patterns("expected"))
    spec = load_spec(project.root).spec
    for path in (path for image in spec.images.values() for path in image.copy_):
        project.write(f"{path}/main.py" if path.endswith("/") else path, "")
    if spec.network.ca_certificates:
        project.write(spec.network.ca_certificates, "")
    return project
