"""Exports, upgrades, agreement and differences with the real uv, pip and git."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.conda_channel import Channel, Package

from envgen.lock.model import LockedBase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def _bases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer for registries, which have no part in what is tested here."""

    def pin_base(image: str, **_: object) -> LockedBase:
        return LockedBase(image=image, digest=f"sha256:{'a' * 64}", origin="registry")

    monkeypatch.setattr("envgen.lock.resolve.pin_base", pin_base)


def write_spec(
    project: Any, images: dict[str, list[str]], *, index: str = "", more: str = ""
) -> None:
    lines = [f'format = 1\nepoch = "2026.11"\n[project]\nname = "demo"\npython = "{PYTHON}"', more]
    lines += [f"[images.{name}]\ndependencies = {needs}" for name, needs in images.items()]
    if index:
        lines.append(f'[network]\nindex = "{index}/simple"')
    project.write("envgen.toml", "\n".join(lines).replace("'", '"') + "\n")


def locked_versions(project: Any, image: str) -> dict[str, str]:
    rows = project.run("export", image, "--format", "requirements.txt").out.splitlines()
    pins = (row.removesuffix(" \\").split("==") for row in rows if "==" in row)
    return {name: version for name, version in pins}  # noqa: C416 - a pair of strings each


@pytest.fixture
def index(serve: Callable[..., Any]) -> Any:
    """Return an index with a package in three versions and one that holds it down."""
    server = serve()
    for version in ("1.0", "1.5", "2.0"):
        server.add_wheel("shared", version)
    server.add_wheel("holds", "1.0", "shared<2")
    server.add_wheel("other", "1.0")
    return server


class TestAgreement:
    def test_images_that_share_a_package_get_one_version(self, project: Any, index: Any) -> None:
        write_spec(
            project,
            {"train": ["shared"], "serve": ["holds", "shared"]},
            index=index.url,
            more='agree = ["shared"]',
        )
        outcome = project.run("lock")
        assert outcome.code == 0, outcome.err
        assert "locking train with uv" in outcome.err
        assert "held to shared<=1.5" in outcome.err
        assert locked_versions(project, "train") == {"shared": "1.5"}

    def test_without_agreement_each_has_its_own(self, project: Any, index: Any) -> None:
        images = {"train": ["shared"], "serve": ["holds", "shared"]}
        write_spec(project, images, index=index.url)
        assert project.run("lock").code == 0
        assert locked_versions(project, "train") == {"shared": "2.0"}

    def test_uv_accepts_the_lock_of_an_image_that_was_held(self, project: Any, index: Any) -> None:
        import uv

        write_spec(
            project,
            {"train": ["shared"], "serve": ["holds"]},
            index=index.url,
            more='agree = ["*"]',
        )
        assert project.run("lock").code == 0
        done = subprocess.run(
            [uv.find_uv_bin(), "lock", "--check", "--no-config", "--python", sys.executable],
            cwd=project.root / "environments" / "train",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_asking_for_agreement_makes_the_lock_stale(self, project: Any, index: Any) -> None:
        images = {"train": ["shared"], "serve": ["holds", "shared"]}
        write_spec(project, images, index=index.url)
        assert project.run("render").code == 0
        write_spec(project, images, index=index.url, more='agree = ["shared"]')
        assert project.run("render", "--check").code == 1
        assert project.run("render").code == 0
        assert project.run("render", "--check").code == 0
        assert locked_versions(project, "train") == {"shared": "1.5"}

    def test_images_that_cannot_agree_are_both_named_and_nothing_is_written(
        self, project: Any, index: Any
    ) -> None:
        write_spec(
            project,
            {"train": ["shared>=2"], "serve": ["holds", "shared"]},
            index=index.url,
            more='agree = ["shared"]',
        )
        before = project.files()
        outcome = project.run("lock")
        assert outcome.code == 4
        assert "project.agree: shared is 2.0 in train, 1.5 in serve" in outcome.err
        assert project.files() == before

    def test_a_new_image_follows_one_that_is_locked(self, project: Any, index: Any) -> None:
        write_spec(project, {"train": ["shared==1.0"]}, index=index.url, more='agree = ["*"]')
        assert project.run("render").code == 0
        write_spec(
            project,
            {"train": ["shared==1.0"], "serve": ["shared"]},
            index=index.url,
            more='agree = ["*"]',
        )
        assert project.run("render").code == 0
        assert locked_versions(project, "serve") == {"shared": "1.0"}

    def test_lockers_agree_with_each_other(self, project: Any, index: Any) -> None:
        images = {"train": ["shared"], "serve": ["holds"]}
        write_spec(project, images, index=index.url, more='agree = ["shared"]')
        text = project.read("envgen.toml")
        project.write(
            "envgen.toml", text.replace("[images.train]", '[images.train]\nlocker = "pip"')
        )
        outcome = project.run("lock")
        assert outcome.code == 0, outcome.err
        assert locked_versions(project, "train") == {"shared": "1.5"}


class TestUpgrade:
    def lock_old(self, project: Any, index: Any) -> None:
        write_spec(project, {"app": ["shared==1.0", "other"]}, index=index.url)
        assert project.run("lock").code == 0
        write_spec(project, {"app": ["shared", "other"]}, index=index.url)
        index.add_wheel("other", "2.0")

    def test_pins_that_fit_are_kept(self, project: Any, index: Any) -> None:
        self.lock_old(project, index)
        assert project.run("lock").code == 0
        assert locked_versions(project, "app") == {"shared": "1.0", "other": "1.0"}

    def test_a_named_package_alone_is_upgraded(self, project: Any, index: Any) -> None:
        self.lock_old(project, index)
        assert project.run("lock", "app", "--upgrade", "Shared").code == 0
        assert locked_versions(project, "app") == {"shared": "2.0", "other": "1.0"}

    def test_without_names_all_are_upgraded(self, project: Any, index: Any) -> None:
        self.lock_old(project, index)
        assert project.run("lock", "--upgrade").code == 0
        assert locked_versions(project, "app") == {"shared": "2.0", "other": "2.0"}

    def test_a_name_that_is_not_locked_is_refused(self, project: Any, index: Any) -> None:
        self.lock_old(project, index)
        outcome = project.run("lock", "--upgrade", "sharde")
        assert outcome.code == 2
        assert "did you mean 'shared'?" in outcome.err

    def test_an_image_in_a_packages_place_is_told(self, project: Any, index: Any) -> None:
        self.lock_old(project, index)
        assert "`envgen lock app --upgrade`" in project.run("lock", "--upgrade", "app").err


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


class TestDiff:
    @pytest.fixture
    def committed(self, project: Any, index: Any) -> Any:
        write_spec(project, {"app": ["shared==1.0", "other"]}, index=index.url)
        assert project.run("lock").code == 0
        git(project.root, "init", "--quiet")
        git(project.root, "add", "--all")
        git(project.root, "commit", "--quiet", "--message", "lock")
        return project

    def test_nothing_differs_from_what_was_committed(self, committed: Any) -> None:
        assert committed.run("diff").out == "the locks are those of HEAD\n"

    def test_what_was_locked_since_is_told(self, committed: Any, index: Any) -> None:
        write_spec(committed, {"app": ["shared", "holds"]}, index=index.url)
        assert committed.run("lock", "app", "--upgrade", "shared").code == 0
        lines = committed.run("diff").out.splitlines()
        assert lines[0] == "app: 1 added, 1 removed, 1 changed"
        assert [line.split()[:2] for line in lines[1:4]] == [
            ["+", "holds"],
            ["-", "other"],
            ["~", "shared"],
        ]
        assert "1.0 -> 1.5" in lines[3]
        assert lines[4].startswith("  layer packages moves: ")

    def test_markdown_and_json_tell_the_same(self, committed: Any, index: Any) -> None:
        write_spec(committed, {"app": ["shared", "other"]}, index=index.url)
        committed.run("lock", "app", "--upgrade", "shared")
        markdown = committed.run("diff", "--format", "markdown").out
        assert "| changed | `shared` | 1.0 -> 2.0 |" in markdown
        (image,) = committed.run("diff", "--json").json["images"]
        (change,) = image["packages"]
        assert (change["name"], change["old"], change["new"]) == ("shared", "1.0", "2.0")
        assert image["layers"][0]["download_bytes"] == image["new_bytes"]

    def test_a_folder_below_the_top_of_a_repository_is_found(
        self, project: Any, index: Any
    ) -> None:
        write_spec(project, {"app": ["shared==1.0"]}, index=index.url)
        project.run("lock")
        git(project.root.parent, "init", "--quiet")
        git(project.root.parent, "add", "--all")
        git(project.root.parent, "commit", "--quiet", "--message", "lock")
        assert project.run("diff").out == "the locks are those of HEAD\n"

    def test_a_revision_without_a_lock_makes_everything_new(self, project: Any, index: Any) -> None:
        git(project.root, "init", "--quiet")
        git(project.root, "commit", "--quiet", "--allow-empty", "--message", "empty")
        write_spec(project, {"app": ["shared"]}, index=index.url)
        project.run("lock")
        outcome = project.run("diff")
        assert "HEAD has no envgen.lock" in outcome.err
        assert outcome.out.startswith("app: image added, 1 package\n")

    @pytest.mark.parametrize("revision", ["nope", "--output=x", ""])
    def test_a_revision_that_is_none_is_refused(self, committed: Any, revision: str) -> None:
        outcome = committed.run("diff", "--", revision)
        assert outcome.code == 2
        assert "revision" in outcome.err

    def test_a_folder_without_git_is_told(self, project: Any) -> None:
        outcome = project.run("diff")
        assert outcome.code == 2
        assert "there is no git repository" in outcome.err

    def test_a_machine_without_git_is_told(
        self, project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        outcome = project.run("diff")
        assert outcome.code == 6
        assert "git is not on PATH" in outcome.err


class TestExport:
    def test_a_file_of_a_person_is_not_overwritten(self, project: Any, index: Any) -> None:
        write_spec(project, {"app": ["shared"]}, index=index.url)
        project.run("lock")
        target = project.write("requirements.txt", "shared\n")
        wanted = ("export", "app", "--format", "requirements.txt", "-o", str(target))
        assert project.run(*wanted).code == 7
        assert target.read_text(encoding="utf-8") == "shared\n"
        assert project.run(*wanted, "--force").code == 0
        assert project.run(*wanted).code == 0

    def test_a_stale_lock_is_not_exported(self, project: Any, index: Any) -> None:
        write_spec(project, {"app": ["shared"]}, index=index.url)
        project.run("lock")
        write_spec(project, {"app": ["shared", "other"]}, index=index.url)
        wanted = ("export", "app", "--format", "requirements.txt")
        assert project.run(*wanted).code == 1
        assert "shared==2.0" in project.run(*wanted, "--frozen").out

    def test_the_name_of_a_pylock_is_one_that_installers_take(
        self, project: Any, index: Any
    ) -> None:
        write_spec(project, {"app": ["shared"]}, index=index.url)
        project.run("lock")
        outcome = project.run("export", "app", "--format", "pylock.toml", "-o", "lock.toml")
        assert outcome.code == 2
        assert "pylock.NAME.toml" in outcome.err


@pytest.mark.network
@pytest.mark.usefixtures("package_index")
class TestConda:
    @pytest.fixture
    def locked(self, project: Any, index: Any, tmp_path: Path) -> Iterator[Any]:
        """Return a project with one image of conda packages and one of uv, which share one."""
        channel = Channel(tmp_path / "channel")
        channel.add(
            Package("python", f"{PYTHON}.7", "h1_0", depends=("libc",)),
            Package("libc", "2.0a", "h1_0"),
            Package("shared", "1.5", "pyh_0", "noarch", (f"python >={PYTHON}",), noarch="python"),
        )
        with channel.serve() as address:
            write_spec(
                project,
                {"train": [], "serve": ["shared"]},
                index=index.url,
                more='agree = ["shared"]',
            )
            conda = f'locker = "conda-lock"\nchannels = ["{address}"]\nconda = ["shared"]\n'
            text = project.read("envgen.toml").replace("dependencies = []\n", conda)
            project.write("envgen.toml", text)
            outcome = project.run("lock")
            assert outcome.code == 0, outcome.err
            yield project

    def test_uv_follows_conda(self, locked: Any) -> None:
        assert locked_versions(locked, "serve") == {"shared": "1.5"}

    def test_an_explicit_file_has_what_is_needed_first(self, locked: Any) -> None:
        outcome = locked.run("export", "train", "--format", "conda-explicit")
        assert outcome.code == 0, outcome.err
        lines = outcome.out.partition("@EXPLICIT\n")[2].splitlines()
        names = [line.rpartition("/")[2].partition("-")[0] for line in lines]
        assert names == ["libc", "python", "shared"]
        assert all(len(line.partition("#")[2]) == 64 for line in lines)

    def test_a_bill_of_materials_names_conda_packages(self, locked: Any) -> None:
        text = locked.run("export", "train", "--format", "cyclonedx").out
        assert "pkg:conda/libc@2.0a?build=h1_0" in text

    def test_pip_cannot_have_it(self, locked: Any) -> None:
        outcome = locked.run("export", "train", "--format", "requirements.txt")
        assert outcome.code == 4
        assert "conda-explicit" in outcome.err

    def test_conda_packages_are_compared(self, locked: Any) -> None:
        git(locked.root, "init", "--quiet")
        git(locked.root, "commit", "--quiet", "--allow-empty", "--message", "empty")
        out = locked.run("diff").out
        assert "  + libc    2.0a" in out
        assert "  layer conda moves: " in out


def pip_dry_run(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    options = ["--require-hashes", "--disable-pip-version-check", "--requirement", str(file)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


@pytest.mark.network
@pytest.mark.usefixtures("package_index")
class TestPip:
    @pytest.fixture
    def exported(self, project: Any) -> Path:
        write_spec(project, {"app": ["rich>=13", "httpx[http2]", "msgspec"]})
        assert project.run("lock").code == 0
        target: Path = project.root / "requirements.lock.txt"
        form = ("--format", "requirements.txt", "-o", str(target))
        assert project.run("export", "app", *form).code == 0
        return target

    def test_pip_installs_the_requirements_by_their_hashes(self, exported: Path) -> None:
        done = pip_dry_run(exported)
        assert done.returncode == 0, done.stderr
        assert "Would install" in done.stdout
        assert "markdown-it-py" in done.stdout

    def test_pip_refuses_a_file_that_has_another_hash(self, exported: Path) -> None:
        text = exported.read_text(encoding="utf-8")
        start = text.index("--hash=sha256:") + len("--hash=sha256:")
        exported.write_text(text[:start] + "0" * 64 + text[start + 64 :], encoding="utf-8")
        done = pip_dry_run(exported)
        assert done.returncode != 0
        assert "HASHES" in done.stderr
