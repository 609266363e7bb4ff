"""conda-lock itself, on channels that are made here: locks, their checks, and the installation."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
import tomli_w
import uv
from tests.integration.conda_channel import Channel, Package, pack_python
from tests.integration.conftest import Project
from tests.integration.image_files import differing_files

from envgen.errors import LockError, NetworkError
from envgen.lock.packages import LockedPackage
from envgen.lockers import LockRequest, LockResult, conda_lock, conda_lock_program
from envgen.lockers.conda_layer import render_layer
from envgen.lockers.tool_environment import ensure_tool
from envgen.resources import CONDA_INSTALL

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index", "own_solver")]

PLATFORMS = ("linux-64", "linux-aarch64")
PYTHON = ("python >=3.12,<3.13.0a0",)


@pytest.fixture
def own_solver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide a conda that this machine may have."""
    monkeypatch.setattr(conda_lock_program, "_SOLVERS", ())
    conda_lock_program._find_solver.cache_clear()
    yield
    conda_lock_program._find_solver.cache_clear()


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """Make a channel with a Python, a framework in three builds, and a few packages."""
    made = Channel(tmp_path / "channel")
    for subdir in PLATFORMS:
        made.add(
            Package(
                "python", "3.12.7", "h1_0", subdir, ("libc >=2", "__glibc >=2.17"), files=_PYTHON
            ),
            Package("libc", "2.0", "h1_0", subdir),
            Package("numpy", "2.1.0", "py312_0", subdir, PYTHON),
            Package("pytorch", "2.5.1", "cuda126_py312_0", subdir, (*PYTHON, "__cuda >=12.6")),
            Package("pytorch", "2.5.1", "cpu_py312_0", subdir, PYTHON),
        )
    made.add(_noarch("tqdm", "4.67.1"))
    return made


_PYTHON = {"lib/python3.12/os.py": b"path = None\n"}


def _noarch(name: str, version: str) -> Package:
    files = {f"site-packages/{name}/__init__.py": f"version = {version!r}\n".encode()}
    return Package(
        name, version, "pyh_0", "noarch", ("python >=3.8",), noarch="python", files=files
    )


def make_request(channel: Channel | str, *conda: str, **changes: object) -> LockRequest:
    request = LockRequest(
        image="train",
        project="demo",
        folder="environments/train",
        python="3.12",
        requirements=(),
        platforms=("linux/amd64",),
        conda=conda,
        channels=(channel if isinstance(channel, str) else channel.url,),
        glibc="2.41",
    )
    return msgspec.structs.replace(request, **changes)


def lock(request: LockRequest, current: bytes | None = None) -> LockResult:
    return conda_lock.lock(request, current=current, ca_certificates=None)


def find(result: LockResult, name: str) -> LockedPackage:
    return next(package for package in result.packages if package.name == name)


def run_conda_lock(folder: Path, result: LockResult, request: LockRequest, *options: str) -> str:
    """Run conda-lock as a user would on what envgen wrote, and return what it said."""
    for file in (*conda_lock.render_inputs(request), result.native):
        (folder / Path(file.path).name).write_bytes(file.content)
    programs = ensure_tool("conda-lock")
    script = Path(conda_lock_program.__file__).parent / "conda_executable.py"
    solver = folder / "conda"
    solver.write_text(f'#!/bin/sh\nexec {programs / "python"} -I {script} "$@"\n')
    solver.chmod(0o700)
    files = ["--file=environment.yml", "--lockfile=conda-lock.yml"]
    done = subprocess.run(
        [programs / "conda-lock", "lock", f"--conda={solver}", *files, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_lock_is_accepted_by_conda_lock_itself(channel: Channel, tmp_path: Path) -> None:
    request = make_request(
        channel, "numpy", "tqdm", platforms=("linux/amd64", "linux/arm64"), requirements=("idna",)
    )
    result = lock(request)

    said = run_conda_lock(tmp_path, result, request, "--check-input-hash")

    assert "Spec hash already locked for ['linux-64', 'linux-aarch64']" in said
    assert (tmp_path / "conda-lock.yml").read_bytes() == result.native.content


def test_update_by_conda_lock_itself_moves_one_package_and_is_taken_up(
    channel: Channel, tmp_path: Path
) -> None:
    request = make_request(channel, "numpy", "tqdm")
    before = lock(request)
    channel.add(_noarch("tqdm", "4.67.2"), Package("numpy", "2.2.0", "py312_0", depends=PYTHON))

    run_conda_lock(tmp_path, before, request, "--update=tqdm")
    taken = lock(request, (tmp_path / "conda-lock.yml").read_bytes())

    assert find(taken, "tqdm").version == "4.67.2"
    assert find(taken, "numpy").version == "2.1.0"


def test_two_locks_are_the_same_bytes(channel: Channel) -> None:
    request = make_request(channel, "numpy", "tqdm", requirements=("idna", "six"))

    first, second = lock(request), lock(request)

    assert first.native.content == second.native.content
    assert lock(request, first.native.content).native.content == first.native.content


def test_every_platform_has_its_own_archive_with_hash_and_size(channel: Channel) -> None:
    platforms = ("linux/amd64", "linux/arm64")
    numpy = find(lock(make_request(channel, "numpy", platforms=platforms)), "numpy")

    assert numpy.conda == "numpy"
    assert set(numpy.downloads) == set(platforms)
    for subdir, artifact in zip(PLATFORMS, numpy.downloads.values(), strict=True):
        content = (channel.folder / subdir / artifact.filename).read_bytes()
        assert artifact.sha256 == hashlib.sha256(content).hexdigest()
        assert artifact.size == len(content)


@pytest.mark.parametrize(
    "spec", ["numpy==2.1.0", "numpy 2.1.0", "numpy=2.1", "numpy=2.1.0=py312_0", "numpy >=2,<2.2"]
)
def test_version_is_asked_for_in_every_spelling(channel: Channel, spec: str) -> None:
    channel.add(Package("numpy", "2.2.0", "py312_0", depends=PYTHON))

    assert find(lock(make_request(channel, spec)), "numpy").version == "2.1.0"


def test_cuda_chooses_the_build_with_cuda(channel: Channel) -> None:
    with_cuda = find(lock(make_request(channel, "pytorch", cuda="12.8")), "torch")
    without = find(lock(make_request(channel, "pytorch")), "torch")

    assert "cuda126" in with_cuda.wheels[0].filename
    assert "cpu" in without.wheels[0].filename


def test_old_cuda_is_refused_instead_of_a_cpu_build(channel: Channel) -> None:
    with pytest.raises(LockError, match="cannot be had together on linux-64") as raised:
        lock(make_request(channel, "pytorch", cuda="11.8"))

    assert "__cuda >=12.6" in (raised.value.problems[0].why)


def test_cpu_build_that_comes_with_another_package_is_refused(channel: Channel) -> None:
    channel.add(
        Package("kernels", "1.0", "cpu_0"), Package("trainer", "1.0", "0", depends=("kernels",))
    )

    with pytest.raises(LockError, match=r"kernels 1\.0 is a build without CUDA"):
        lock(make_request(channel, "trainer", cuda="12.8"))


def test_automatic_cuda_asks_for_a_number(channel: Channel) -> None:
    with pytest.raises(LockError, match="conda has to know the CUDA"):
        lock(make_request(channel, "pytorch", cuda="auto"))


def test_package_that_does_not_exist_is_named(channel: Channel) -> None:
    with pytest.raises(LockError, match="nosuchthing"):
        lock(make_request(channel, "nosuchthing"))


def test_channel_that_does_not_answer_is_a_network_error() -> None:
    with pytest.raises(NetworkError, match="a conda channel did not answer"):
        lock(make_request("http://127.0.0.1:9/channel", "numpy"))


def test_package_without_sha256_is_refused(channel: Channel) -> None:
    del channel.records["linux-64"]["numpy-2.1.0-py312_0.tar.bz2"]["sha256"]
    channel.write()

    with pytest.raises(LockError, match=r"numpy 2\.1\.0 has no SHA-256"):
        lock(make_request(channel, "numpy"))


def test_tampered_lock_is_refused(channel: Channel) -> None:
    request = make_request(channel, "numpy")
    sha256 = find(lock(request), "numpy").wheels[0].sha256
    tampered = lock(request).native.content.replace(sha256.encode(), b"ab" * 32)

    with pytest.raises(LockError, match="is not the file that its channel has"):
        lock(request, tampered)


def test_valid_edit_of_a_person_is_taken_up(channel: Channel) -> None:
    request = make_request(channel, "tqdm")
    before = lock(request).native.content
    channel.add(_noarch("tqdm", "4.67.2"))
    newer = lock(request).native.content
    assert b"4.67.2" in newer

    assert find(lock(request, before), "tqdm").version == "4.67.1"
    assert find(lock(request, newer), "tqdm").version == "4.67.2"


def test_damaged_lock_is_an_error_with_a_way_out(channel: Channel) -> None:
    with pytest.raises(LockError, match=r"conda-lock\.yml cannot be read") as raised:
        lock(make_request(channel, "numpy"), b"<<<<<<< HEAD\n: [\n")

    assert "--upgrade" in raised.value.problems[0].fix


def test_pins_stay_where_something_is_added(channel: Channel) -> None:
    before = lock(make_request(channel, "tqdm")).native.content
    channel.add(_noarch("tqdm", "4.67.2"))

    request = make_request(channel, "tqdm", "numpy")
    kept, fresh = lock(request, before), lock(request)

    assert find(kept, "tqdm").version == "4.67.1"
    assert find(fresh, "tqdm").version == "4.67.2"


def test_upgrade_of_one_package_leaves_the_others(channel: Channel) -> None:
    request = make_request(channel, "tqdm", "numpy")
    before = lock(request).native.content
    channel.add(_noarch("tqdm", "4.67.2"), Package("numpy", "2.2.0", "py312_0", depends=PYTHON))

    upgraded = lock(msgspec.structs.replace(request, upgrade=("numpy",)), before)

    assert find(upgraded, "numpy").version == "2.2.0"
    assert find(upgraded, "tqdm").version == "4.67.1"


def test_constraints_of_other_images_hold_by_the_name_on_pypi(channel: Channel) -> None:
    channel.add(Package("pytorch", "2.6.0", "cpu_py312_0", depends=PYTHON))
    request = make_request(channel, "pytorch")

    free = lock(request)
    held = lock(msgspec.structs.replace(request, constraints=("torch==2.5.1",)))

    assert find(free, "torch").version == "2.6.0"
    assert find(held, "torch").version == "2.5.1"


def test_rest_from_pypi_is_chosen_to_fit_what_conda_has(channel: Channel) -> None:
    # bottleneck needs numpy, and nothing else.
    result = lock(make_request(channel, "numpy", requirements=("bottleneck",)))

    names = {package.name: package.conda for package in result.packages}
    assert names["bottleneck"] == ""
    assert names["numpy"] == "numpy"
    assert [name for name, conda in names.items() if not conda] == ["bottleneck"]
    assert b'- name: "bottleneck"' in result.native.content


def test_requirement_that_conda_contradicts_is_explained(channel: Channel) -> None:
    with pytest.raises(LockError, match="cannot be met together") as raised:
        lock(make_request(channel, "numpy", requirements=("numpy<2",)))

    assert "numpy" in raised.value.problems[0].why
    assert "conda's packages are fixed" in raised.value.problems[0].fix


def test_extra_of_a_conda_package_is_refused(channel: Channel) -> None:
    with pytest.raises(LockError, match="conda installs tqdm, and has no extras"):
        lock(make_request(channel, "tqdm", requirements=("tqdm[notebook]",)))


def test_pin_from_pypi_is_kept(channel: Channel) -> None:
    old = lock(make_request(channel, "tqdm", requirements=("six==1.16.0",)))

    kept = lock(make_request(channel, "tqdm", requirements=("six",)), old.native.content)

    assert find(kept, "six").version == "1.16.0"


def test_date_holds_for_conda_and_for_pypi(channel: Channel) -> None:
    channel.add(_noarch("tqdm", "4.67.2"))
    for records in channel.records.values():
        for name, record in records.items():
            record["timestamp"] = 1790000000000 if "4.67.2" in name else 1700000000000
    channel.write()
    request = make_request(
        channel, "tqdm", requirements=("six",), exclude_newer="2024-01-01T00:00:00Z"
    )

    result = lock(request)

    assert find(result, "tqdm").version == "4.67.1"
    assert find(result, "six").version == "1.16.0"


def _write_solver(folder: Path, *, version: str, edit: str) -> None:
    """Write a micromamba that is envgen's own solver, whose answer `edit` changes."""
    python = ensure_tool("conda-lock") / "python"
    solver = Path(conda_lock_program.__file__).parent / "conda_executable.py"
    folder.mkdir()
    program = folder / "micromamba"
    program.write_text(
        f"#!{python}\nimport subprocess, sys\n"
        f"if '--version' in sys.argv: print('{version}'); raise SystemExit\n"
        f"done = subprocess.run([{str(python)!r}, '-I', {str(solver)!r}, *sys.argv[1:]],"
        " stdout=subprocess.PIPE, text=True)\n"
        f"print(done.stdout{edit}); raise SystemExit(done.returncode)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_solver_of_the_machine_is_used_and_gives_the_same_lock(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(channel, "numpy", "tqdm")
    own = lock(request)
    _write_solver(tmp_path / "bin", version="2.0.5", edit="")
    monkeypatch.setattr(conda_lock_program, "_SOLVERS", ("micromamba",))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    conda_lock_program._find_solver.cache_clear()

    assert conda_lock.probe_version().endswith("+micromamba-2.0.5")
    assert lock(request).native.content == own.native.content


def test_solver_that_answers_nonsense_is_found_out(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subdir in PLATFORMS:
        channel.add(Package("libc", "1.0", "h1_0", subdir))
    record = channel.records["linux-64"]["libc-1.0-h1_0.tar.bz2"]
    newer = channel.records["linux-64"]["libc-2.0-h1_0.tar.bz2"]
    edit = ".replace('libc-2.0', 'libc-1.0').replace('\"2.0\"', '\"1.0\"')" + "".join(
        f".replace({newer[key]!r}, {record[key]!r})" for key in ("md5", "sha256")
    )
    _write_solver(tmp_path / "bin", version="2.0.5", edit=edit)
    monkeypatch.setattr(conda_lock_program, "_SOLVERS", ("micromamba",))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    conda_lock_program._find_solver.cache_clear()

    with pytest.raises(LockError, match=r"python 3\.12\.7 needs libc >=2") as raised:
        lock(make_request(channel, "numpy"))

    assert "the lock has libc 1.0" in raised.value.problems[0].why


def _install(folder: Path, result: LockResult, cache: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    (folder / "conda.toml").write_text(render_layer(p for p in result.packages if p.conda))
    python = ensure_tool("conda-lock") / "python"
    return subprocess.run(
        [python, "-B", CONDA_INSTALL, folder / "conda.toml", folder / "prefix"],
        env={**os.environ, "RATTLER_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


def _tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def served(channel: Channel) -> Iterator[str]:
    """Serve the channel, whose Python has a program: the one of conda-lock's environment."""
    python = (ensure_tool("conda-lock") / "python").resolve()
    script = f'#!/bin/sh\nexec {python} "$@"\n'.encode()
    channel.add(
        Package(
            "python",
            "3.12.7",
            "h1_0",
            files={**_PYTHON, "bin/python": script, "bin/python3.12": script},
            executables=frozenset({"bin/python", "bin/python3.12"}),
        ),
        Package(
            "tool",
            files={"etc/tool.cfg": b"prefix=/long/placeholder\n"},
            placeholders={"etc/tool.cfg": "/long/placeholder"},
        ),
    )
    with channel.serve() as url:
        yield url


def test_two_installations_are_the_same_bytes(served: str, tmp_path: Path) -> None:
    result = lock(make_request(served, "tqdm", "tool"))
    trees = []
    for n in range(2):
        done = _install(tmp_path / "same", result, tmp_path / f"cache-{n}")
        assert done.returncode == 0, done.stderr
        trees.append(_tree(tmp_path / "same" / "prefix"))
        config = tmp_path / "same" / "prefix" / "etc" / "tool.cfg"
        assert config.read_text() == f"prefix={tmp_path / 'same' / 'prefix'}\n"
        shutil.rmtree(tmp_path / "same")

    assert trees[0] == trees[1]
    assert "lib/python3.12/site-packages/tqdm/__init__.py" in trees[0]
    assert "conda-meta/history" not in trees[0]
    assert any(name.endswith(".pyc") for name in trees[0])


def test_tampered_package_is_refused_at_install(
    served: str, channel: Channel, tmp_path: Path
) -> None:
    result = lock(make_request(served, "tqdm"))
    evil = Channel(tmp_path / "evil")
    evil.add(replace(_noarch("tqdm", "4.67.1"), files={"site-packages/tqdm/evil.py": b""}))
    name = "tqdm-4.67.1-pyh_0.tar.bz2"
    shutil.copy(evil.folder / "noarch" / name, channel.folder / "noarch" / name)

    done = _install(tmp_path / "bad", result, tmp_path / "cache")

    assert done.returncode != 0
    assert "hash mismatch" in done.stderr
    assert not [*(tmp_path / "bad").rglob("evil.py")]


def test_package_on_a_disk_is_not_installed_unverified(channel: Channel, tmp_path: Path) -> None:
    done = _install(tmp_path / "made", lock(make_request(channel, "tqdm")), tmp_path / "cache")

    assert done.returncode != 0
    assert "would not be verified" in done.stderr
    assert not (tmp_path / "made" / "prefix").exists()


SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.13"
dependencies = ["bottleneck", "numpy>=2"]

[images.train]
locker = "conda-lock"
conda = ["numpy", "tqdm", "tool"]
channels = ["{channel}"]
copy = ["app/"]
command = ["python", "app/main.py"]
"""

APPLICATION = """\
import bottleneck, json, numpy, sys, tqdm
config = open("/opt/venv/etc/tool.cfg").read()
print(json.dumps([sys.prefix, numpy.__version__, bottleneck.nansum(numpy.ones(3)), config]))
"""


@pytest.fixture
def engine() -> str:
    """Skip where no Docker Engine answers; return the address of this machine for its builds."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not on PATH")
    command = ["docker", "network", "inspect", "bridge", "--format"]
    command.append("{{range .IPAM.Config}}{{.Gateway}}{{end}}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no Docker Engine answers: {done.stderr.strip()}")
    return done.stdout.strip()


def _find_python() -> Path:
    """Return a Python 3.13 of its own prefix, as pyenv installs one; skip where there is none."""
    installed = Path.home().glob(".pyenv/versions/3.13.*/bin/python3.13")
    for python in installed:
        return python
    pytest.skip("there is no Python 3.13 to make a conda package of")


def _numpy_of_pypi(folder: Path) -> Package:
    """Return the wheel of numpy as a conda package."""
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", f"--target={folder}"]
    command += ["--python-version=3.13", "--python-platform=x86_64-manylinux_2_28"]
    subprocess.run([*command, "--only-binary=:all:", "numpy==2.3.5"], check=True)
    files = {
        f"lib/python3.13/site-packages/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", "tests"} & set(path.parts)
    }
    needs = ("python >=3.13,<3.14.0a0",)
    return Package("numpy", "2.3.5", "py313_0", depends=needs, files=files)


@pytest.mark.container
def test_image_runs_what_conda_and_uv_installed(
    engine: str, mirrors: dict[str, str], ca_bundle: Path, tmp_path: Path
) -> None:
    python = _find_python()
    channel = Channel(tmp_path / "channel")
    channel.add(
        pack_python(python, "3.13.0"),
        _numpy_of_pypi(tmp_path / "numpy"),
        _noarch("tqdm", "4.67.1"),
        Package(
            "tool",
            files={"etc/tool.cfg": b"prefix=/long/placeholder\n"},
            placeholders={"etc/tool.cfg": "/long/placeholder"},
        ),
    )
    project = Project(tmp_path / "project")
    (project.root / "app").mkdir(parents=True)
    (project.root / "app" / "main.py").write_text(APPLICATION)
    shutil.copy(ca_bundle, project.root / "ca.pem")
    network = {"ca-certificates": "ca.pem", "registry-mirrors": mirrors}
    tags = [f"envgen-test:{uuid4().hex}" for _ in range(2)]
    with channel.serve(engine) as url:
        spec = SPEC.format(channel=url) + "\n" + tomli_w.dumps({"network": network})
        project.spec.write_text(spec)
        for command in (
            ["render"],
            ["build", "--tag", tags[0]],
            ["build", "--no-cache", "--tag", tags[1]],
        ):
            done = project.envgen(*command)
            assert done.returncode == 0, done.stderr

    try:
        said = json.loads(_docker("run", "--rm", tags[0]))
        assert said == ["/opt/venv", "2.3.5", 3.0, "prefix=/opt/venv\n"]
        probe = "/opt/envgen/envgen_runtime"
        assert "numpy 2.3.5" in _docker("run", "--rm", tags[0], "python", probe, "probe")
        assert "conda" not in _docker("run", "--rm", tags[0], "ls", "/opt/venv/bin")
        assert differing_files(*tags) == []
    finally:
        _docker("image", "rm", *tags)


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
