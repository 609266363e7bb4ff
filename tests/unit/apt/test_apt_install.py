"""The script of image builds: what it takes of an installation, and what it leaves behind."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from envgen.apt import install

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STATUS = "Package: {}\nStatus: install ok installed\nVersion: {}\nDescription: a\n more: b\n"


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return a base, a system made of it, and where the difference goes."""
    for name in ("base", "system"):
        (tmp_path / name / "etc").mkdir(parents=True)
        (tmp_path / name / "etc" / "passwd").write_text("root:x:0\n", encoding="ascii")
    return tmp_path / "base", tmp_path / "system", tmp_path / "out"


def write(root: Path, path: str, text: str = "content") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def list_files(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()
    )


def test_only_what_changed_is_taken_whatever_its_time(trees: tuple[Path, Path, Path]) -> None:
    base, system, out = trees
    for root, text in ((base, "aaa"), (system, "bbb")):
        write(root, "usr/bin/changed", text)
        write(root, "usr/bin/same")
    os.utime(system / "usr/bin/same", (1, 1))
    write(system, "usr/lib/new.so").chmod(0o4755)
    (system / "usr/lib/link.so").symlink_to("new.so")

    install.collect(str(base), str(system), str(out))

    assert list_files(out) == ["usr/bin/changed", "usr/lib/link.so", "usr/lib/new.so"]
    assert (out / "usr/lib/link.so").readlink().name == "new.so"
    assert (out / "usr/lib/new.so").stat().st_mode & 0o7777 == 0o4755


def test_changed_mode_is_a_change(trees: tuple[Path, Path, Path]) -> None:
    base, system, out = trees
    write(base, "usr/bin/tool").chmod(0o755)
    write(system, "usr/bin/tool").chmod(0o700)

    install.collect(str(base), str(system), str(out))

    assert list_files(out) == ["usr/bin/tool"]


def test_links_to_one_file_stay_links_to_one_file(trees: tuple[Path, Path, Path]) -> None:
    base, system, out = trees
    os.link(write(system, "usr/bin/git"), system / "usr/bin/git-upload")

    install.collect(str(base), str(system), str(out))

    assert (out / "usr/bin/git").samefile(out / "usr/bin/git-upload")


def test_what_tells_of_the_moment_is_left_behind_and_its_folders_stay(
    trees: tuple[Path, Path, Path],
) -> None:
    base, system, out = trees
    for path in (
        *("var/log/dpkg.log", "var/log/nginx/access.log", "var/cache/apt/pkgcache.bin"),
        *("var/cache/ldconfig/aux-cache", "var/lib/dpkg/status-old", "etc/shadow-"),
        *("etc/machine-id", "etc/ssh/ssh_host_rsa_key", "tmp/debs/a.deb", "etc/hosts"),
        "usr/lib/python3/dist-packages/__pycache__/a.cpython-313.pyc",
    ):
        write(system, path)

    install.collect(str(base), str(system), str(out))

    assert list_files(out) == []
    assert (out / "var/log/nginx").is_dir()
    assert not (out / "tmp").exists()


def test_what_a_package_removes_of_the_base_is_said(
    trees: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    base, system, out = trees
    write(base, "usr/share/doc/gone")

    install.collect(str(base), str(system), str(out))

    assert "/usr/share/doc/gone of the base stays" in capsys.readouterr().err


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    row = {"name": "git", "version": "2", "platform": "linux/amd64", "archive": "debian"}
    other = {**row, "name": "elsewhere", "platform": "linux/arm64"}
    return {"archives": {}, "packages": [row, other]}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([("base", "1"), ("git", "2")], ""),
        ([("base", "1")], "less .'git 2'."),
        ([("base", "1"), ("git", "2"), ("perl", "5")], "more .'perl 5'."),
        ([("base", "2"), ("git", "2")], "more .'base 2'."),
        ([("git", "2")], "removed .'base'."),
    ],
)
def test_installation_of_other_packages_than_the_locked_is_refused(
    trees: tuple[Path, Path, Path],
    lock: dict[str, Any],
    after: list[tuple[str, str]],
    said: str,
) -> None:
    base, system, _ = trees
    write(base, install.STATUS, STATUS.format("base", "1"))
    write(system, install.STATUS, "\n".join(STATUS.format(*row) for row in after))

    if not said:
        install.require_locked(lock, base, system)
        return
    with pytest.raises(SystemExit, match=said):
        install.require_locked(lock, base, system)


def test_new_users_are_dated_by_the_epoch_and_old_ones_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "base", "etc/shadow", "root:*:20000:0\n")
    file = write(tmp_path / "out", "etc/shadow", "root:*:20000:0\nnew:!:20780:0\n")

    install.date_passwords(tmp_path / "base", tmp_path / "out", 315532800)

    assert file.read_text(encoding="utf-8") == "root:*:20000:0\nnew:!:3652:0\n"


def test_tampered_package_is_refused(
    tmp_path: Path, lock: dict[str, Any], make_url: Callable[[bytes], str]
) -> None:
    url = make_url(b"tampered")
    lock["archives"] = {"debian": url.rpartition("/")[0]}
    digest = hashlib.sha256(b"original").hexdigest()
    lock["packages"][0] |= {"path": url.rpartition("/")[2], "architecture": "amd64"}
    lock["packages"][0] |= {"sha256": digest, "size": 8}

    with pytest.raises(SystemExit, match="hash mismatch for git 2"):
        install.fetch(lock, tmp_path / "debs")


@pytest.fixture
def make_url(tmp_path: Path) -> Callable[[bytes], str]:
    """Return what puts content at an address."""

    def make(content: bytes) -> str:
        (tmp_path / "git.deb").write_bytes(content)
        return (tmp_path / "git.deb").as_uri()

    return make
