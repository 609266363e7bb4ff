"""What is in the wheel, and that an editable install finds and follows the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv
from hatchling import build

ROOT = Path(__file__).parents[1]
SOURCES = {
    "generator/envgen": "envgen",
    "templates": "envgen/templates",
    "presets": "envgen/presets",
}


def tracked() -> set[str]:
    """Return the files under version control that belong into a wheel, by their names there."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *SOURCES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("this is no checkout")
    names = (name for name in done.stdout.splitlines() if (ROOT / name).exists())
    return {
        name.replace(source, target, 1)
        for name in names
        for source, target in SOURCES.items()
        if name.startswith(f"{source}/")
    }


def make_wheel(folder: Path, kind: str = "wheel") -> Path:
    """Build without network or isolation, as a build front end would in its environment."""
    folder.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        name = getattr(build, f"build_{kind}")(str(folder))
    finally:
        os.chdir(before)
    return folder / str(name)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheel"))


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_wheel_holds_the_package_its_templates_and_presets(wheel: Path) -> None:
    assert {name for name in names(wheel) if ".dist-info/" not in name} == tracked()


def test_wheel_has_nothing_else_at_the_top(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names(wheel)}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"envgen"}
    assert len(tops) == 2


def test_wheel_is_for_every_platform_and_carries_the_license(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert any(name.endswith("/licenses/LICENSE") for name in names(wheel))


def test_wheel_is_typed(wheel: Path) -> None:
    assert "envgen/py.typed" in names(wheel)


def test_wheel_is_the_same_when_built_again(tmp_path: Path) -> None:
    one, two = (make_wheel(tmp_path / name) for name in ("one", "two"))

    assert one.read_bytes() == two.read_bytes()


def run(python: Path, code: str) -> str:
    """Run code from the root of the file system, where no checkout is importable by accident."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", code], cwd="/", env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def clean_python(tmp_path: Path) -> Path:
    """Return an interpreter that sees this one's packages, but not envgen."""
    venv = tmp_path / "venv"
    subprocess.run(
        [uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, venv], check=True
    )
    python = venv / "bin" / "python"
    here = Path(pytest.__file__).parents[1]
    site = Path(run(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    for entry in here.iterdir():
        if "envgen" not in entry.name:
            (site / entry.name).symlink_to(entry)
    return python


def install(python: Path, wheel: Path) -> None:
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*command, "--python", python, wheel], check=True)


WHERE = "import envgen.resources as r; print(r.TEMPLATES, r.PRESETS, sep='\\n')"


def test_installed_wheel_finds_its_data_and_renders(wheel: Path, clean_python: Path) -> None:
    install(clean_python, wheel)
    site = run(clean_python, "import sysconfig; print(sysconfig.get_path('purelib'))")

    assert run(clean_python, WHERE).splitlines() == [
        f"{site}/envgen/templates",
        f"{site}/envgen/presets",
    ]
    assert run(clean_python, "from envgen.cli import run; run(['schema'])").startswith("{")


def test_editable_install_follows_the_checkout(clean_python: Path, tmp_path: Path) -> None:
    install(clean_python, make_wheel(tmp_path, "editable"))

    assert run(clean_python, WHERE).splitlines() == [f"{ROOT}/templates", f"{ROOT}/presets"]
    assert run(clean_python, "import envgen; print(envgen.__file__)") == str(
        ROOT / "generator" / "envgen" / "__init__.py"
    )
