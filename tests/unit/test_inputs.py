"""The hash of what enters a build: it changes with the image, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envgen import project as envgen_project
from envgen.build.inputs import InputFile, hash_inputs, read_inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

    from envgen.plan.model import ImagePlan

SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.13"

[images.serve]
copy = ["app/", "model.bin"]
"""


@pytest.fixture
def serving(project: Project) -> Project:
    project.write("envgen.toml", SPEC)
    project.write("app/main.py", "app = None\n")
    project.write("app/run.sh", "#!/bin/sh\n")
    project.write("model.bin", b"\x00")
    outcome = project.render_offline()
    assert outcome.code == 0, outcome.err
    return project


def plan(project: Project) -> tuple[str, ImagePlan]:
    planned = envgen_project.plan_project(envgen_project.open_project(project.root, ()))
    return planned.epoch, planned.images[0]


def key(project: Project) -> str:
    epoch, image = plan(project)
    files = read_inputs(project.root, image)
    return hash_inputs(image, files, epoch=epoch, platforms=image.platforms)


def edit_application(project: Project) -> None:
    project.write("app/main.py", "app = 1\n")


def edit_single_file(project: Project) -> None:
    project.write("model.bin", b"\x01")


def add_file(project: Project) -> None:
    project.write("app/deep/new.py", "")


def add_folder(project: Project) -> None:
    (project.root / "app" / "empty").mkdir()


def let_execute(project: Project) -> None:
    (project.root / "app" / "run.sh").chmod(0o755)


def lead_link_elsewhere(project: Project) -> None:
    (project.root / "app" / "link").symlink_to("main.py")


def edit_dockerfile(project: Project) -> None:
    path = "environments/serve/Dockerfile"
    project.write(path, project.read(path) + "# another epoch\n")


def lock_other_packages(project: Project) -> None:
    path = "environments/serve/pylock.packages.toml"
    project.write(path, project.read(path) + "# another\n")


@pytest.mark.parametrize(
    "change",
    [
        edit_application,
        edit_single_file,
        add_file,
        add_folder,
        let_execute,
        lead_link_elsewhere,
        edit_dockerfile,
        lock_other_packages,
    ],
)
def test_what_changes_the_image_changes_it(
    serving: Project, change: Callable[[Project], None]
) -> None:
    before = key(serving)

    change(serving)

    assert key(serving) != before


def add_bytecode(project: Project) -> None:
    project.write("app/__pycache__/main.cpython-313.pyc", b"\x00")
    project.write("app/old.pyc", b"\x00")


def add_secrets_and_history(project: Project) -> None:
    project.write("app/.env", "TOKEN=x\n")
    project.write("app/.git/HEAD", "ref: x\n")


def comment_the_spec(project: Project) -> None:
    project.write("envgen.toml", SPEC + "# a comment\n")


def write_other_files(project: Project) -> None:
    project.write("notes.md", "x")
    project.write("environments/published.toml", "format = 1\n")


def touch_and_open_to_the_group(project: Project) -> None:
    import os

    path = project.root / "app" / "main.py"
    os.utime(path, (1, 1))
    path.chmod(0o664)


@pytest.mark.parametrize(
    "change",
    [
        add_bytecode,
        add_secrets_and_history,
        comment_the_spec,
        write_other_files,
        touch_and_open_to_the_group,
    ],
)
def test_what_does_not_enter_the_image_does_not_change_it(
    serving: Project, change: Callable[[Project], None]
) -> None:
    before = key(serving)

    change(serving)

    assert key(serving) == before


def test_platforms_and_epoch_are_part_of_it(serving: Project) -> None:
    epoch, image = plan(serving)
    files = list(read_inputs(serving.root, image))

    keys = {
        hash_inputs(image, files, epoch=epoch, platforms=("linux/amd64",)),
        hash_inputs(image, files, epoch=epoch, platforms=("linux/arm64",)),
        hash_inputs(image, files, epoch="2027.01", platforms=("linux/amd64",)),
    }

    assert len(keys) == 3


def test_order_of_files_and_platforms_does_not_matter(serving: Project) -> None:
    _, image = plan(serving)
    files = [InputFile(path=name, digest="sha256:0") for name in "abc"]
    both = ("linux/amd64", "linux/arm64")

    assert hash_inputs(image, files, epoch="x", platforms=both) == hash_inputs(
        image, files[::-1], epoch="x", platforms=both[::-1]
    )


def test_every_file_of_the_lock_and_the_self_test_is_read(serving: Project) -> None:
    _, image = plan(serving)

    paths = {file.path for file in read_inputs(serving.root, image)}

    folder = Path("environments/serve")
    assert {"app/main.py", "model.bin", f"{folder}/pylock.packages.toml"} <= paths
    assert f"{folder}/runtime/envgen_runtime/__main__.py" in paths
    assert f"{folder}/uv.lock" not in paths
