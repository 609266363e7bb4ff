"""The project's own packages, and packages from git: what is locked for them, with real uv."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
import uv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project, Server

FOLDER = "environments/serve"
BACKEND = {"requires": ["hatchling>=1.20"], "build-backend": "hatchling.build"}
LOCKERS = ["uv", "pip"]


@pytest.fixture
def index(serve: Callable[..., Server]) -> Server:
    server = serve()
    for name in ("idna", "packaging", "orjson"):
        server.add_wheel(name, "3.0")
    server.add_wheel("pathspec", "0.12")
    server.add_wheel("hatchling", "1.27.0", "pathspec")
    return server


@pytest.fixture
def project(
    index: Server,
    serve: Callable[..., Server],
    copy_example: Callable[[Path], Project],
    tmp_path: Path,
) -> Project:
    """Return a uv workspace with two members, one of which needs the other."""
    registry = serve()
    registry.add_base("library/python", "3.13-slim-trixie")
    project = copy_example(tmp_path / "project")
    project.spec.unlink()
    project.env.update(
        ENVGEN_REGISTRY_MIRRORS=f"docker.io={registry.host}",
        NO_PROXY="127.0.0.1",
        UV_CACHE_DIR=str(tmp_path / "cache"),
    )
    write_root(project, index)
    write_package(
        project,
        "libs/api",
        {"name": "acme-api", "version": "1.0", "dependencies": ["acme-core[fast]", "packaging"]},
        sources={"acme-core": {"workspace": True}},
    )
    write_package(
        project,
        "libs/core",
        {
            "name": "Acme.Core",
            "dynamic": ["version"],
            "dependencies": ["idna>=2"],
            "optional-dependencies": {"fast": ["orjson"]},
        },
    )
    return project


def write_root(project: Project, index: Server, **tables: Any) -> None:
    document = {
        "project": {
            "name": "shop",
            "version": "0",
            "requires-python": ">=3.11,<3.14",
            "dependencies": ["acme-api"],
        },
        "tool": {
            "uv": {
                "workspace": {"members": ["libs/*"]},
                "sources": {"acme-api": {"workspace": True}},
            }
            | tables.get("uv", {}),
            "envgen": {
                "format": 1,
                "epoch": "2026.11",
                "project": {"python": "3.13"},
                "images": {"serve": tables.get("image", {})},
                "network": {"index": f"{index.url}/simple"},
            },
        },
    }
    document["project"] |= tables.get("table", {})
    document |= {key: tables[key] for key in ("build-system",) if key in tables}
    path = project.root / "pyproject.toml"
    path.write_text(tomli_w.dumps(document), encoding="utf-8")


def write_package(
    project: Project, folder: str, table: dict[str, Any], sources: dict[str, Any] | None = None
) -> None:
    document: dict[str, Any] = {"build-system": BACKEND, "project": table}
    if sources:
        document["tool"] = {"uv": {"sources": sources}}
    path = project.root / folder / "pyproject.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomli_w.dumps(document), encoding="utf-8")


def read_toml(project: Project, path: str) -> dict[str, Any]:
    return tomllib.loads((project.root / path).read_text(encoding="utf-8"))


def render(project: Project) -> None:
    done = project.envgen("render")
    assert done.returncode == 0, done.stderr
    check = project.envgen("render", "--check")
    assert check.returncode == 0, check.stderr


def locked(project: Project) -> dict[str, str]:
    found = read_toml(project, f"{FOLDER}/pylock.packages.toml").get("packages", [])
    return {package["name"]: package["version"] for package in found}


def refuse(project: Project, code: int = 3) -> str:
    done = project.envgen("render")
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.parametrize("locker", LOCKERS)
def test_what_members_of_a_workspace_depend_on_is_locked(
    project: Project, index: Server, locker: str
) -> None:
    write_root(project, index, image={"locker": locker})

    render(project)

    assert locked(project) == {"idna": "3.0", "orjson": "3.0", "packaging": "3.0"}
    own = read_toml(project, "envgen.lock")["images"]["serve"]["own"]
    assert [(row["name"], row["folder"]) for row in own] == [
        ("acme-api", "libs/api"),
        ("acme-core", "libs/core"),
    ]


def test_tools_of_the_build_are_pinned_by_hash(project: Project) -> None:
    render(project)

    pins = (project.root / FOLDER / "build.txt").read_text(encoding="utf-8")
    assert "\nhatchling==1.27.0 \\\n    --hash=sha256:" in pins
    assert "\npathspec==0.12 \\\n    --hash=sha256:" in pins


def test_only_the_packages_enter_the_build(project: Project) -> None:
    render(project)

    ignore = (project.root / FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    assert {"!libs/core", "!libs/api", "libs/core/.venv", "libs/core/**/*.egg-info"} <= set(
        ignore.splitlines()
    )
    assert "!libs" not in ignore.splitlines()


def test_change_of_code_stales_nothing(project: Project) -> None:
    render(project)

    (project.root / "libs/core/acme_core.py").write_text("changed = True\n", encoding="utf-8")

    assert project.envgen("render", "--check").returncode == 0


def test_change_of_dependencies_stales_the_image(project: Project) -> None:
    render(project)
    write_package(project, "libs/core", {"name": "acme-core", "version": "1", "dependencies": []})
    write_package(project, "libs/api", {"name": "acme-api", "version": "2", "dependencies": []})

    done = project.envgen("render", "--check")

    assert done.returncode == 1
    render(project)
    assert locked(project) == {}


def test_uv_accepts_the_lock(project: Project) -> None:
    render(project)

    done = subprocess.run(
        [uv.find_uv_bin(), "lock", "--check", "--python", sys.executable],
        cwd=project.root / FOLDER,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_explain_tells_what_is_the_projects_own(project: Project) -> None:
    render(project)

    said = " ".join(project.envgen("explain").stdout.split())

    assert "package acme-core libs/core" in said.replace(":", "")


def test_spec_of_its_own_names_folders(project: Project, index: Server) -> None:
    (project.root / "pyproject.toml").unlink()
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "shop", "python": "3.13"},
        "images": {"serve": {"install": ["libs/core"]}},
        "network": {"index": f"{index.url}/simple"},
    }
    project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")

    render(project)

    assert locked(project) == {"idna": "3.0"}


def test_project_itself_is_installed_with_its_sources_alone(
    project: Project, index: Server
) -> None:
    for path in ("src/shop/__init__.py", "README.md", "data/big.bin"):
        (project.root / path).parent.mkdir(parents=True, exist_ok=True)
        (project.root / path).write_text("", encoding="utf-8")
    tables = {"table": {"readme": "README.md"}, "build-system": BACKEND}
    write_root(project, index, image={"install": ["."]}, **tables)

    render(project)

    own = read_toml(project, "envgen.lock")["images"]["serve"]["own"]
    assert own[0]["files"] == ["pyproject.toml", "README.md", "src"]
    assert [row["folder"] for row in own] == [".", "libs/api", "libs/core"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dynamic": ["version", "dependencies"]}, "are computed by the build backend"),
        ({"requires-python": ">=3.14"}, "does not admit Python 3.13"),
        ({"dependencies": ["x @ https://x.example/x.whl"]}, "is a direct reference"),
    ],
)
def test_package_that_cannot_be_locked_is_told_with_its_file(
    project: Project, change: dict[str, Any], said: str
) -> None:
    write_package(project, "libs/core", {"name": "acme-core", "version": "1"} | change)

    assert said in (message := refuse(project))
    assert "libs/core/pyproject.toml: " in message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"path": "../elsewhere"}, "is outside of the spec's folder"),
        ({"path": "libs/core-1.0-py3-none-any.whl"}, "is an archive"),
        ({"path": "libs/nowhere"}, "libs/nowhere/pyproject.toml: cannot be read"),
        ({"url": "https://x.example/x.whl"}, "is a source that envgen does not know"),
        ({"index": "nowhere"}, "there is no index 'nowhere'"),
        ({"git": "ssh://git@git.example/x"}, "points to a repository with a login"),
    ],
)
def test_source_that_no_build_can_see_is_told(
    project: Project, index: Server, source: dict[str, Any], said: str
) -> None:
    write_root(project, index, uv={"sources": {"acme-api": source}})

    assert said in refuse(project)


def test_index_of_the_workspace_is_the_images_too(
    project: Project, index: Server, serve: Callable[..., Server]
) -> None:
    own = serve()
    own.add_wheel("acme_api", "7.0")
    index.add_wheel("acme_api", "66.6")
    uv_table = {
        "sources": {"acme-api": {"index": "acme"}},
        "index": [{"name": "acme", "url": f"{own.url}/simple", "explicit": True}],
    }
    write_root(project, index, uv=uv_table)

    render(project)

    assert locked(project) == {"acme-api": "7.0"}


def test_package_of_an_index_must_not_bear_the_name_of_an_own_one(
    project: Project, index: Server
) -> None:
    index.add_wheel("acme_core", "66.6")
    index.add_wheel("stranger", "1.0", "acme-core")
    write_root(project, index, table={"dependencies": ["acme-api", "stranger"]})

    assert "acme-core came from an index, and is the project's own" in refuse(project, 4)


class TestGit:
    """A repository that a web server of this process has."""

    @pytest.fixture
    def repository(self, serve: Callable[..., Server], tmp_path: Path) -> str:
        """Return the address of a repository with one package, tagged v1."""
        work = tmp_path / "work"
        work.mkdir()
        table = {"name": "acme-tools", "version": "1.0", "dependencies": ["idna"]}
        document = {"build-system": BACKEND, "project": table}
        (work / "pyproject.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
        (work / "acme_tools.py").write_text("", encoding="utf-8")
        git(work, "init", "--quiet")
        git(work, "add", ".")
        git(work, "commit", "--quiet", "--message=first")
        git(work, "tag", "v1")
        git(tmp_path, "clone", "--quiet", "--bare", str(work), "served")
        served = tmp_path / "served"
        git(served, "update-server-info")
        server = serve()
        for path in served.rglob("*"):
            if path.is_file():
                name = f"/tools.git/{path.relative_to(served).as_posix()}"
                server.pages[name] = path.read_bytes()
        refs = "/tools.git/info/refs"
        server.pages[f"{refs}?service=git-upload-pack"] = server.pages[refs]
        return f"{server.url}/tools.git"

    @pytest.fixture
    def commit(self, tmp_path: Path, repository: str) -> str:  # noqa: ARG002 - it makes it
        return git(tmp_path / "work", "rev-parse", "HEAD")

    @pytest.fixture
    def pinned(self, project: Project, index: Server, repository: str) -> Project:
        needed = [f"acme-tools @ git+{repository}@v1"]
        write_root(project, index, table={"dependencies": needed})
        return project

    def test_commit_is_pinned_and_the_lack_of_a_hash_told(
        self, pinned: Project, repository: str, commit: str
    ) -> None:
        done = pinned.envgen("render")

        assert done.returncode == 0, done.stderr
        assert f"comes from {repository} and has no hash" in done.stderr
        (package,) = read_toml(pinned, f"{FOLDER}/pylock.git.toml")["packages"]
        assert package["vcs"] == {
            "type": "git",
            "url": repository,
            "requested-revision": "v1",
            "commit-id": commit,
        }
        assert locked(pinned) == {"idna": "3.0"}
        dockerfile = (pinned.root / FOLDER / "Dockerfile").read_text(encoding="utf-8")
        assert "These have no hash" in dockerfile
        assert "no hash" in " ".join(pinned.envgen("explain").stdout.split())
        assert pinned.envgen("render", "--check").returncode == 0

    def test_source_of_uv_is_the_same(
        self, project: Project, index: Server, repository: str, commit: str
    ) -> None:
        write_root(
            project,
            index,
            table={"dependencies": ["acme-tools"]},
            uv={"sources": {"acme-tools": {"git": repository, "tag": "v1"}}},
        )

        render(project)

        assert commit in (project.root / FOLDER / "pylock.git.toml").read_text(encoding="utf-8")

    def test_form_that_wants_hashes_is_refused(self, pinned: Project) -> None:
        render(pinned)

        done = pinned.envgen("export", "serve", "--format", "requirements.txt")
        assert done.returncode == 4
        assert "has no hash" in done.stderr
        assert pinned.envgen("export", "serve", "--format", "pylock.toml").returncode == 0

    def test_pip_has_no_place_for_it(
        self, project: Project, index: Server, repository: str
    ) -> None:
        needed = [f"acme-tools @ git+{repository}@v1"]
        write_root(project, index, table={"dependencies": needed}, image={"locker": "pip"})

        assert 'lock the image with uv: locker = "uv"' in refuse(project)

    def test_tag_that_is_not_there_is_told(
        self, project: Project, index: Server, repository: str
    ) -> None:
        needed = [f"acme-tools @ git+{repository}@v2"]
        write_root(project, index, table={"dependencies": needed})

        assert "git could not fetch what is asked for" in refuse(project, 5)


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
