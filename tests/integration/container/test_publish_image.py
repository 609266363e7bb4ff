"""Images into a real registry: once, with their papers, and recorded all or not at all."""

from __future__ import annotations

import difflib
import json
import shutil
import signal
import subprocess
import tomllib
import urllib.request
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w
from tests.integration.conftest import MIRROR, Project

from envgen.project import open_project, plan_project
from envgen.release.publish import publish
from envgen.release.published import EMPTY
from envgen.release.repository import Release, find_published

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.container.conftest import Engine

PUBLISHED = "environments/published.toml"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def project(
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,  # noqa: ARG001 - it skips
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Project]:
    """Return a repository with two images, each with a place in the registry of this machine."""
    if not mirrors:
        pytest.skip(f"no registry on {MIRROR}")
    root = tmp_path_factory.mktemp("publish")
    place = f"{MIRROR}/envgen-test/{uuid4().hex}"
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13", "dependencies": ["idna"]},
        "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
        "images": {
            "serve": {"repository": f"{place}/serve", "copy": ["app/"]},
            "default": {"repository": f"{place}/default", "dependencies": ["six"]},
        },
    }
    (root / "envgen.toml").write_text(tomli_w.dumps(spec), encoding="utf-8")
    (root / "app").mkdir()
    (root / "app" / "main.py").write_text("app = 1\n", encoding="utf-8")
    shutil.copy(ca_bundle, root / "corp.pem")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "x"]):
        subprocess.run([*git, *words], cwd=root, check=True)
    yield Project(root)
    for name in engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split():
        if name.startswith(place):
            engine.docker("image", "rm", "--force", name)


def build(project: Project, *options: str, **env: str) -> list[dict[str, Any]]:
    """Publish, and return what the record tells."""
    record = project.root.with_suffix(".json")
    done = project.envgen("build", "--push", "--record", str(record), *options, **env)
    assert done.returncode == 0, done.stderr
    document = json.loads(record.read_text(encoding="utf-8"))
    assert document["format"] == 1
    images: list[dict[str, Any]] = document["images"]
    return images


@pytest.fixture(scope="module")
def record(project: Project) -> list[dict[str, Any]]:
    """Return the record of two images that were built and pushed at the same time."""
    return build(project, "--jobs", "2")


@pytest.fixture
def copied(project: Project, record: list[dict[str, Any]], tmp_path: Path) -> Project:
    """Return a clone in which everything is published."""
    assert record
    shutil.copytree(project.root, tmp_path / "copied")
    return Project(tmp_path / "copied")


def ask(path: str, accept: str) -> tuple[str, Any]:
    """Return digest and JSON of what the registry has."""
    repository, _, name = path.removeprefix(f"{MIRROR}/").rpartition("@")
    request = urllib.request.Request(
        f"http://{MIRROR}/v2/{repository}/{name}", headers={"Accept": accept}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return str(response.headers["Docker-Content-Digest"]), json.load(response)


def published(project: Project) -> str:
    return (project.root / PUBLISHED).read_text(encoding="utf-8")


def test_record_and_file_tell_what_the_registry_has(
    project: Project, record: list[dict[str, Any]]
) -> None:
    rows = tomllib.loads(published(project))["images"]
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project.root, capture_output=True, text=True, check=True
    ).stdout.strip()

    assert [entry["image"] for entry in record] == ["serve", "default"]
    for entry in record:
        row = rows[entry["image"]]
        assert entry["digest"] == row["digest"]
        assert entry["repository"] == row["repository"]
        assert entry["canonical"]["platforms"] == row["canonical"]
        assert entry["canonical"]["digest"] == row["canonical"]["linux/amd64"]
        assert (entry["inputs"], entry["lock"]) == (row["inputs"], row["lock"])
        assert entry["revision"] == revision
        key = row["inputs"].removeprefix("sha256:")[:16]
        assert entry["tags"] == [f"{row['repository']}:env-{key}"]
        digest, manifest = ask(f"{row['repository']}@manifests/env-{key}", MANIFEST)
        assert digest == row["digest"]
        assert entry["id"] == manifest["config"]["digest"]
        assert entry["size"] == sum(layer["size"] for layer in manifest["layers"])


def test_papers_are_attached_to_the_pushed_image(record: list[dict[str, Any]]) -> None:
    entry = record[0]
    tag = entry["digest"].replace(":", "-")
    _, index = ask(f"{entry['repository']}@manifests/{tag}", INDEX)
    types = {found["artifactType"]: found for found in index["manifests"]}

    assert set(types) == {
        "application/vnd.cyclonedx+json",
        "application/spdx+json",
        "application/vnd.in-toto+json",
    }
    provenance = types["application/vnd.in-toto+json"]
    _, manifest = ask(f"{entry['repository']}@manifests/{provenance['digest']}", OCI_MANIFEST)
    assert manifest["subject"]["digest"] == entry["digest"]
    blob = manifest["layers"][0]["digest"]
    _, statement = ask(f"{entry['repository']}@blobs/{blob}", "*/*")
    algorithm, _, value = entry["digest"].partition(":")
    assert statement["subject"][0]["digest"] == {algorithm: value}
    made = statement["predicate"]["runDetails"]["byproducts"]
    assert [each["digest"]["sha256"] for each in made] == [
        entry["canonical"]["digest"].partition(":")[2]
    ]


def test_second_run_needs_no_engine_and_changes_nothing(
    copied: Project, record: list[dict[str, Any]]
) -> None:
    before = copied.files()

    again = build(copied, PATH="")

    assert [{**entry, "tags": None} for entry in again] == [
        {**entry, "tags": None} for entry in record
    ]
    assert copied.files() == before


def test_clone_without_the_file_finds_out_from_the_registry(copied: Project) -> None:
    before = published(copied)
    (copied.root / PUBLISHED).unlink()

    build(copied, PATH="")

    assert published(copied) == before


def test_change_of_the_application_changes_the_lines_of_its_image(
    copied: Project, record: list[dict[str, Any]]
) -> None:
    before = published(copied)
    (copied.root / "app" / "main.py").write_text(f"app = {uuid4().hex!r}\n", encoding="utf-8")

    serve, default = build(copied)

    assert default == record[1]
    for key in ("digest", "inputs", "id"):
        assert serve[key] != record[0][key]
    assert serve["lock"] == record[0]["lock"]
    changed = [
        line[2:].partition(" ")[0]
        for line in difflib.ndiff(before.splitlines(), published(copied).splitlines())
        if line.startswith("+ ")
    ]
    assert changed == ["digest", "inputs", '"linux/amd64"']


def test_forced_build_gives_the_same_image(copied: Project, record: list[dict[str, Any]]) -> None:
    before = published(copied)

    again = build(copied, "--force-build")

    assert [entry["digest"] for entry in again] == [entry["digest"] for entry in record]
    assert published(copied) == before


def test_builder_of_buildx_gives_the_same_image(
    copied: Project, record: list[dict[str, Any]]
) -> None:
    """The default builder is there wherever Buildx is; others take the same bake file."""
    again = build(copied, "--force-build", "--builder", "default")

    assert [entry["canonical"] for entry in again] == [entry["canonical"] for entry in record]


def test_name_in_the_repository_is_given_without_a_build(
    copied: Project, record: list[dict[str, Any]]
) -> None:
    repository = record[0]["repository"]

    (entry,) = build(copied, "serve", "--tag", f"{repository}:v1", PATH="")

    assert entry["tags"][1:] == [f"{repository}:v1"]
    digest, _ = ask(f"{repository}@manifests/v1", MANIFEST)
    assert digest == record[0]["digest"]


def test_bake_file_is_built_as_it_is(
    copied: Project, engine: Engine, record: list[dict[str, Any]]
) -> None:
    printed = copied.envgen("bake")
    assert printed.returncode == 0, printed.stderr
    (copied.root / "docker-bake.json").write_text(printed.stdout, encoding="utf-8")
    environment = copied.environment(ENVGEN_REVISION=record[0]["revision"])
    metadata = copied.root / "metadata.json"

    for options in (["--print"], ["--metadata-file", str(metadata)]):
        done = subprocess.run(
            ["docker", "buildx", "bake", *options],
            cwd=copied.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    built = json.loads(metadata.read_bytes())
    for entry in record:
        assert built[entry["image"]]["containerimage.config.digest"] == entry["id"]
        assert engine.docker("image", "inspect", "--format={{.Id}}", entry["tags"][0])


def test_index_of_two_platforms_is_published_as_one(
    copied: Project, engine: Engine, record: list[dict[str, Any]], tmp_path: Path
) -> None:
    """What a builder for several platforms pushes: no engine has it, so the layers are fetched."""
    opened = open_project(copied.root, ["serve"])
    platforms = ("linux/amd64", "linux/arm64")
    release = Release(
        plan=plan_project(opened).images[0],
        repository=record[0]["repository"],
        inputs=f"sha256:{uuid4().hex * 2}",
        platforms=platforms,
    )
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n", encoding="utf-8")
    names = [f"{release.repository}:{platform.rpartition('/')[2]}" for platform in platforms]
    for name, platform in zip(names, platforms, strict=True):
        engine.docker("build", "--platform", platform, "--tag", name, tmp_path)
        engine.docker("push", name)
    engine.docker("buildx", "imagetools", "create", "--tag", str(release.reference), *names)

    row, entry = publish(opened, release, "", in_engine=False)

    assert row.platforms == platforms
    assert len(set(row.canonical.values())) == 2
    assert entry["id"] == row.digest
    digest, index = ask(f"{row.repository}@manifests/{release.reference.tag}", LIST)
    assert digest == row.digest
    assert len(index["manifests"]) == 2
    assert find_published([release], EMPTY, None) == {"serve": row}


def test_interrupted_push_leaves_the_file_and_is_done_again(copied: Project) -> None:
    before = published(copied)
    (copied.root / "app" / "main.py").write_text(f"app = {uuid4().hex!r}\n", encoding="utf-8")
    running = subprocess.Popen(
        [*copied.command, "build", "--push"],
        cwd=copied.root,
        env=copied.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("publishing"):
            running.send_signal(signal.SIGKILL)
            break
    running.communicate()

    assert running.returncode == -signal.SIGKILL
    assert published(copied) == before
    serve, _ = build(copied)
    assert f'digest = "{serve["digest"]}"' in published(copied)
