"""Layers whose packages bring the same file, installed by a real uv."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from tests.unit.render.test_finish_layer import EPOCH, finish
from uv import find_uv_bin


@pytest.fixture
def wheels(tmp_path: Path) -> list[str]:
    """Return the command that installs two wheels of which both bring `shared/__init__.py`."""
    rows = []
    for name in ("first", "second"):
        filename = f"{name}-1-py3-none-any.whl"
        files = {
            "shared/__init__.py": f"owner = {name!r}\n",
            f"shared/{name}.py": "",
            f"{name}-1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
            f"{name}-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        }
        record = "".join(f"{path},sha256={_digest(text)},\n" for path, text in files.items())
        with zipfile.ZipFile(tmp_path / filename, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
            archive.writestr(f"{name}-1.dist-info/RECORD", record)
        rows.append(str(tmp_path / filename))
    command = [find_uv_bin(), "pip", "install", "--quiet", "--no-config", "--offline"]
    command += ["--no-deps", "--link-mode=copy", f"--python={sys.executable}"]
    return [*command, f"--prefix={tmp_path / 'out'}", *rows]


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_last_package_by_name_wins_a_file_that_several_bring(
    tmp_path: Path,
    wheels: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    out = tmp_path / "out"
    for order in (wheels, [*wheels[:-2], wheels[-1], wheels[-2]]):
        shutil.rmtree(out, ignore_errors=True)
        finish.main([str(out), "--", *order])

        (shared,) = out.rglob("shared")
        assert (shared / "__init__.py").read_text(encoding="utf-8") == "owner = 'second'\n"
        assert {path.name for path in shared.glob("*.py")} == {
            "__init__.py",
            "first.py",
            "second.py",
        }
        assert "is second's, and not that of first" in capsys.readouterr().err


def test_files_of_the_installer_are_not_left(tmp_path: Path, wheels: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
        finish.main([str(tmp_path / "out"), "--", *wheels])

    assert not list((tmp_path / "out").rglob(".lock"))
