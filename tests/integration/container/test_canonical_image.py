"""One canonical digest for one environment, in every store and registry, and proof of its origin.

ENVGEN_TEST_CONTAINERD_HOST names an engine with containerd's image store, where there is one; its
builds get the host's network.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.integration.container.test_buildah import buildah  # noqa: F401 - a fixture
from tests.unit.image.archives import member, pack, save_as_docker

from envgen.image.canonical import canonicalise
from envgen.image.difference import compare_images
from envgen.image.push import open_writer, push_image
from envgen.image.store import open_image
from envgen.registry.reference import parse_reference

if TYPE_CHECKING:
    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Build, Engine
    from tests.integration.container.test_buildah import Buildah

REGISTRY = "127.0.0.1:5000"
BYTECODE = re.compile(r"\.cpython-\d+\.pyc: (size|content)")
"""CPython 3.12 and 3.13 write a .pyc differently now and then (python/cpython#129724)."""


@dataclass(frozen=True)
class Record:
    tag: str
    id: str
    canonical: dict[str, Any]

    @property
    def digest(self) -> str:
        return str(self.canonical["digest"])


def build(engine: Engine, project: Project, path: Path, *options: str, **env: str) -> Record:
    tag = f"envgen-test:{uuid4().hex}"
    done = project.envgen("build", "serve", "--tag", tag, "--record", str(path), *options, **env)
    assert done.returncode == 0, done.stderr
    if not env:
        engine.own_image(tag)
    (entry,) = json.loads(path.read_text(encoding="utf-8"))["images"]
    assert entry["tags"] == [tag]
    return Record(tag, entry["id"], entry["canonical"])


@pytest.fixture(scope="module")
def record(
    engine: Engine, iris: Project, image: Build, tmp_path_factory: pytest.TempPathFactory
) -> Record:
    made = build(engine, iris, tmp_path_factory.mktemp("record") / "digests.json")
    assert made.id == image.id
    return made


@pytest.fixture(scope="module")
def repository(mirrors: dict[str, str]) -> str:
    if not mirrors:
        pytest.skip(f"no registry on {REGISTRY}")
    return f"{REGISTRY}/envgen-test/{uuid4().hex}"


@pytest.fixture(scope="module")
def pushed(iris: Project, record: Record, repository: str) -> dict[str, Any]:
    """Return what `push` said of the image."""
    done = iris.envgen("push", "serve", f"{repository}:1", "--from", record.tag, "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def differences(saved: Path, engine: Engine, record: Record, scratch: Path) -> list[str]:
    """Return what of a saved image differs from the recorded one, but for bytecode."""
    recorded = scratch / "recorded.tar"
    engine.docker("save", "--output", recorded, record.tag)
    images = []
    for number, path in enumerate((saved, recorded)):
        folder = scratch / str(number)
        folder.mkdir()
        images.append(canonicalise(open_image(path, folder)))
    found = [str(difference) for difference in compare_images(*images)]
    return [line for line in found if not BYTECODE.search(line)]


def test_cold_build_of_a_moved_context_gives_the_same_image(
    engine: Engine, iris: Project, record: Record, tmp_path: Path
) -> None:
    """Another folder, owner, umask and time of every file; no cache."""
    moved = tmp_path / "moved"
    shutil.copytree(iris.root, moved)
    # BuildKit takes a file of the same name, size and time for one that it has from an earlier run.
    moment = 1_000_000_000 + uuid4().int % 100_000_000
    for path in moved.rglob("*"):
        os.chown(path, 1234, 1234) if os.geteuid() == 0 else None
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o060)
        os.utime(path, (moment, moment))

    again = build(engine, type(iris)(moved), tmp_path / "digests.json", "--no-cache")

    if again.digest != record.digest:
        saved = tmp_path / "again.tar"
        engine.docker("save", "--output", saved, again.tag)
        assert differences(saved, engine, record, tmp_path) == []


def test_commit_and_comment_do_not_change_it(
    engine: Engine, iris: Project, record: Record, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(iris.root, copied)
    with (copied / "envgen.toml").open("a", encoding="utf-8") as spec:
        spec.write("\n# a comment\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], cwd=copied, check=True)

    other = build(engine, type(iris)(copied), tmp_path / "digests.json")

    assert other.id != record.id
    assert other.canonical == record.canonical


def test_buildah_gives_the_same_digest(
    engine: Engine,
    iris: Project,
    record: Record,
    buildah: Buildah,  # noqa: F811
    tmp_path: Path,
) -> None:
    shutil.copytree(iris.root, buildah.scratch / "context")
    context = f"{buildah.inside}/context"
    name = f"localhost/envgen-test:{uuid4().hex}"
    buildah.run(
        "build",
        "--layers",
        "--format=docker",
        "--isolation=chroot",
        "--network=host",
        "--tls-verify=false",
        "--ulimit=nofile=1024:1024",
        "--ulimit=nproc=4096:4096",
        f"--secret=id=ca,src={context}/corp.pem",
        f"--file={context}/environments/serve/Dockerfile",
        f"--tag={name}",
        context,
    )
    buildah.run("push", name, f"docker-archive:{buildah.inside}/image.tar:{name}")

    saved = buildah.scratch / "image.tar"

    digest = canonicalise(open_image(saved, tmp_path)).digest

    if digest != record.digest:
        assert differences(saved, engine, record, tmp_path) == []


def test_store_of_containerd_gives_the_same_digest(
    engine: Engine, iris: Project, record: Record, tmp_path: Path
) -> None:
    host = os.environ.get("ENVGEN_TEST_CONTAINERD_HOST")
    if not host:
        pytest.skip("ENVGEN_TEST_CONTAINERD_HOST names no engine with containerd's image store")
    wrapper = tmp_path / "bin" / "docker"
    wrapper.parent.mkdir()
    docker = shutil.which("docker")
    wrapper.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = build ] && {{ shift; exec {docker} build --network=host "$@"; }}\n'
        f'exec {docker} "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}:{os.environ['PATH']}"

    made = build(engine, iris, tmp_path / "digests.json", DOCKER_HOST=host, PATH=path)

    assert made.canonical == record.canonical


def test_pushed_image_is_pulled_by_its_canonical_digest(
    engine: Engine, record: Record, repository: str, pushed: dict[str, Any]
) -> None:
    assert pushed["reference"] == f"{repository}:1@{record.digest}"

    engine.docker("pull", "--quiet", pushed["reference"])
    try:
        found = engine.inspect_image(pushed["reference"])
        assert found.id == record.canonical["config"]
        said = engine.docker("run", "--rm", pushed["reference"], "python", "-c", "import sklearn")
        assert said == ""
    finally:
        engine.docker("image", "rm", "--force", pushed["reference"])


def test_second_push_sends_nothing(
    iris: Project, record: Record, repository: str, pushed: dict[str, Any]
) -> None:
    done = iris.envgen("push", "serve", f"{repository}:2", "--from", record.tag, "--json")

    again = json.loads(done.stdout)
    assert again["sent-bytes"] == 0
    assert again["attached"] == pushed["attached"]


def read_json(repository: str, kind: str, name: str) -> Any:
    host, _, path = repository.partition("/")
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request("GET", f"/v2/{path}/{kind}/{name}", headers={"Accept": accept})
        return json.load(connection.getresponse())
    finally:
        connection.close()


def test_papers_are_found_from_the_digest_alone(
    record: Record, repository: str, pushed: dict[str, Any]
) -> None:
    """By the tag that stands in for a list of referrers where a registry has none."""
    index = read_json(repository, "manifests", record.digest.replace(":", "-"))

    assert {entry["digest"] for entry in index["manifests"]} == set(pushed["attached"])
    papers = {}
    for entry in index["manifests"]:
        manifest = read_json(repository, "manifests", entry["digest"])
        assert manifest["subject"]["digest"] == record.digest
        papers[entry["artifactType"]] = read_json(
            repository, "blobs", manifest["layers"][0]["digest"]
        )
    assert papers["application/vnd.cyclonedx+json"]["bomFormat"] == "CycloneDX"
    assert papers["application/spdx+json"]["spdxVersion"] == "SPDX-2.3"
    statement = papers["application/vnd.in-toto+json"]
    assert statement["subject"][0]["digest"] == {"sha256": record.digest.partition(":")[2]}
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"


def test_provenance_names_every_locked_file(
    iris: Project, record: Record, repository: str, pushed: dict[str, Any]
) -> None:
    assert pushed["digest"] == record.digest
    index = read_json(repository, "manifests", record.digest.replace(":", "-"))
    (entry,) = (e for e in index["manifests"] if "in-toto" in e["artifactType"])
    manifest = read_json(repository, "manifests", entry["digest"])
    statement = read_json(repository, "blobs", manifest["layers"][0]["digest"])

    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]

    named = {material["digest"].get("sha256") for material in materials}
    files = iris.files()
    pylocks = b"".join(content for path, content in files.items() if "/pylock." in path).decode()
    locked = set(re.findall(r'sha256 = "([0-9a-f]{64})"', pylocks))
    assert locked
    assert locked <= named
    (spec,) = (material for material in materials if material.get("name") == "envgen.toml")
    assert spec["digest"]["sha256"] == hashlib.sha256(files["envgen.toml"]).hexdigest()


@pytest.mark.parametrize("where", ["engine", "registry"])
def test_every_file_of_the_image_is_accounted_for(
    iris: Project, record: Record, pushed: dict[str, Any], where: str
) -> None:
    reference = record.tag if where == "engine" else pushed["reference"]

    done = iris.envgen("verify", "--sources", reference)

    assert done.returncode == 0, done.stderr
    assert "every file is accounted for" in done.stdout


def test_image_is_what_a_rebuild_gives(iris: Project, record: Record) -> None:
    done = iris.envgen("verify", "--cached", record.tag, "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == record.digest


def test_planted_files_are_named_by_both_checks(
    engine: Engine, iris: Project, record: Record, tmp_path: Path
) -> None:
    site = "/opt/venv/lib/python3.13/site-packages"
    flip = f"printf X | dd of={site}/h11/_util.py bs=1 seek=5 conv=notrunc status=none"
    (tmp_path / "Dockerfile").write_text(
        f"FROM {record.tag}\nUSER 0\nRUN echo > {site}/evil.pth && {flip} && chmod 4755 /bin/ls\n"
        "USER 10001:10001\n",
        encoding="utf-8",
    )
    tag = f"envgen-test:{uuid4().hex}"
    engine.docker("build", "--tag", tag, tmp_path)
    engine.own_image(tag)

    sources = iris.envgen("verify", "--sources", tag)
    rebuilt = iris.envgen("verify", "--cached", tag)

    assert (sources.returncode, rebuilt.returncode) == (11, 11)
    for said in (sources.stderr, rebuilt.stderr):
        assert f"{site}/evil.pth" in said
        assert f"{site}/h11/_util.py" in said
        assert "bin/ls" in said
    assert "content, from byte 5 on" in rebuilt.stderr


def test_papers_are_not_attached_to_another_image(
    engine: Engine, iris: Project, record: Record, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {record.tag}\nENV OMP_NUM_THREADS=2\n", encoding="utf-8"
    )
    tag = f"envgen-test:{uuid4().hex}"
    engine.docker("build", "--tag", tag, tmp_path)
    engine.own_image(tag)

    done = iris.envgen("push", "serve", f"{repository}:3", "--from", tag)

    assert done.returncode == 11
    assert "was not built from the project as it is" in done.stderr


def test_command_line_of_cosign(
    iris: Project, record: Record, repository: str, tmp_path: Path
) -> None:
    """The command line alone: a script stands in for cosign, and nothing is signed."""
    script = tmp_path / "cosign"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/said\n', encoding="utf-8")
    script.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["push", "serve", f"{repository}:4", "--from", record.tag, "--sign", "--json"]

    done = iris.envgen(*command, PATH=path)

    assert done.returncode == 0, done.stderr
    said = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    digests = [record.digest, *json.loads(done.stdout)["attached"]]
    assert said == ["sign", "--yes", *(f"{repository}:4@{digest}" for digest in digests)]


@pytest.fixture
def unknown_base(repository: str, tmp_path: Path) -> str:
    """Return an image of the registry that no engine can have yet."""
    layer = pack([member("noise", os.urandom(1_000_000))])
    image = canonicalise(open_image(save_as_docker(tmp_path / "base.tar", [layer]), tmp_path))
    reference = parse_reference(f"{repository}/base:1")
    with open_writer(reference, ca_certificates=None) as writer:
        push_image(writer, image)
    return f"{reference.repository}:1"


def test_flipped_byte_in_a_layer_of_the_base_is_refused(iris: Project, unknown_base: str) -> None:
    """A registry that serves another byte than its digest says, to the engine and to envgen."""
    command = [sys.executable, str(Path(__file__).parent / "flipping_mirror.py"), REGISTRY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            reference = f"{serving.stdout.readline().strip()}/{unknown_base}"
            done = subprocess.run(
                ["docker", "build", "--no-cache", "--pull", "-"],
                input=f"FROM {reference}\nCOPY --from={reference} /noise /again\n",
                capture_output=True,
                text=True,
                check=False,
            )
            verified = iris.envgen("verify", "--sources", reference, "serve")
        finally:
            serving.terminate()

    assert done.returncode != 0
    assert re.search(r"digest|checksum", done.stderr), done.stderr
    assert verified.returncode == 5, verified.stderr
    assert "a layer is not sha256:" in verified.stderr
