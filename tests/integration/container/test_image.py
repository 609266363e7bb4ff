"""What is in the built image and what is not, and when it is built again."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from tests.integration.image_files import differing_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Build, Engine

_COMPILER = re.compile(r"(cc|gcc|g\+\+|c\+\+|cpp|clang|ld|as|make|rustc|nvcc)(-[0-9.]+)?")
_INSTALLER = re.compile(
    r"(pip|ensurepip|setuptools|wheel|uv|uvx|conda|mamba)([0-9.]*|-.*\.dist-info)|.*\.whl"
)
_CACHE = re.compile(
    r"(root|home/[^/]+)/\.cache/.+|var/cache/apt/.*\.(bin|deb)|var/lib/apt/lists/.*(Packages|Release)"
    r".*|tmp/.+"
)


@dataclass(frozen=True)
class Contents:
    """Every entry of every layer, and every blob of the image, its configuration included."""

    entries: tuple[tarfile.TarInfo, ...]
    blobs: tuple[bytes, ...]
    passwd: bytes
    group: bytes

    def ids(self, table: bytes) -> set[int]:
        return {int(line.split(":")[2]) for line in table.decode().splitlines()}


@pytest.fixture(scope="module")
def contents(engine: Engine, image: Build, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    saved = tmp_path_factory.mktemp("image") / "image.tar"
    engine.docker("save", "--output", saved, image.id)
    entries: list[tarfile.TarInfo] = []
    blobs: list[bytes] = []
    found: dict[str, bytes] = {}
    for blob in _read_blobs(saved):
        blobs.append(blob)
        if not tarfile.is_tarfile(io.BytesIO(blob)):
            continue
        with tarfile.open(fileobj=io.BytesIO(blob)) as layer:
            entries += layer.getmembers()
            for name in ("etc/passwd", "etc/group"):
                if name in layer.getnames():
                    found[name] = _read(layer, name)
    saved.unlink()
    return Contents(tuple(entries), tuple(blobs), found["etc/passwd"], found["etc/group"])


def _read_blobs(saved: Path) -> Iterator[bytes]:
    with tarfile.open(saved) as archive:
        for member in archive:
            if member.isfile():
                content = _read(archive, member.name)
                yield gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def test_the_search_finds_what_is_there(contents: Contents) -> None:
    names = {entry.name for entry in contents.entries}

    assert {"app/app/main.py", "opt/venv/bin/uvicorn", "etc/passwd"} <= names
    assert any(b"scikit-learn" in blob for blob in contents.blobs)


def test_no_installer_and_no_compiler(contents: Contents) -> None:
    installers = [
        entry.name
        for entry in contents.entries
        if not entry.name.startswith("usr/share/doc/")
        and any(_INSTALLER.fullmatch(part) for part in entry.name.split("/"))
    ]
    compilers = [
        entry.name
        for entry in contents.entries
        if "bin" in entry.name.split("/") and _COMPILER.fullmatch(entry.name.rpartition("/")[2])
    ]

    assert installers == []
    assert compilers == []


def test_no_cache(contents: Contents) -> None:
    assert [entry.name for entry in contents.entries if _CACHE.fullmatch(entry.name)] == []


def test_certificates_are_in_no_layer_and_no_history(contents: Contents, mark: str) -> None:
    assert not any(mark.encode() in blob for blob in contents.blobs)


def test_every_file_has_an_owner_with_a_name(contents: Contents) -> None:
    assert {entry.uid for entry in contents.entries} <= contents.ids(contents.passwd)
    assert {entry.gid for entry in contents.entries} <= contents.ids(contents.group)


def test_folder_for_temporary_files_is_open_to_all(contents: Contents) -> None:
    modes = {entry.mode & 0o7777 for entry in contents.entries if entry.name == "tmp"}

    assert modes == {0o1777}


def test_every_file_carries_the_same_time(contents: Contents) -> None:
    assert {entry.mtime for entry in contents.entries} == {315532800}


def test_variables_arrive_unchanged(
    engine: Engine, image: Build, odd_values: dict[str, str]
) -> None:
    configured = dict(line.split("=", 1) for line in image.config["Env"])
    seen = json.loads(
        engine.docker(
            "run",
            "--rm",
            image.id,
            "python",
            "-c",
            "import json, os; print(json.dumps(dict(os.environ)))",
        )
    )

    assert configured | odd_values == configured
    assert seen | odd_values == seen


def test_labels_name_the_spec_and_the_lock(image: Build, iris: Project) -> None:
    labels = image.config["Labels"]

    assert labels["org.opencontainers.image.title"] == "iris-serve"
    assert labels["org.opencontainers.image.base.digest"] in iris.files()["envgen.lock"].decode()
    assert {"org.envgen.spec", "org.envgen.lock", "org.envgen.epoch"} <= labels.keys()


def test_docker_finds_nothing_to_criticise(engine: Engine, iris: Project, image: Build) -> None:
    del engine, image  # there must be an engine, and a rendered Dockerfile
    done = subprocess.run(
        ["docker", "build", "--check", "--file", "environments/serve/Dockerfile", "."],
        cwd=iris.root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_second_build_executes_no_step(engine: Engine, iris: Project, image: Build) -> None:
    again = engine.build(iris)

    assert again.executed == ()
    assert again.id == image.id


def test_change_of_the_application_makes_only_its_layer_anew(
    engine: Engine, iris: Project, image: Build
) -> None:
    source = iris.root / "app" / "main.py"
    before = source.read_bytes()
    source.write_bytes(before + f"\n# {uuid4()}\n".encode())
    try:
        changed = engine.build(iris)
    finally:
        source.write_bytes(before)

    assert {step.split()[0] for step in changed.executed if not step.startswith("stage-")} == {
        "app"
    }
    assert len(changed.layers) == len(image.layers)
    differing = [new for old, new in zip(image.layers, changed.layers, strict=True) if old != new]
    assert len(differing) == 1


def test_build_without_cache_gives_the_same_image_but_for_bytecode(
    engine: Engine, iris: Project, image: Build
) -> None:
    again = engine.build(iris, "--no-cache")

    assert "packages" in {step.split()[0] for step in again.executed}
    pairs = zip(again.layers, image.layers, strict=True)
    differing = {number for number, (new, old) in enumerate(pairs) if new != old}
    assert differing <= {2, 3}  # the packages': heavy ones and light ones
    assert differing_files(again.id, image.id) == []
