"""uv, pip and poetry asked for the same, and asked by their own means what they think of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import uv

from envgen.errors import EnvgenError, LockError, NetworkError
from envgen.lockers import LockRequest, LockResult, load_locker, poetry_program
from envgen.lockers.tool_environment import ensure_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Server

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]

LOCKERS = ("uv", "pip", "poetry")
OURS = ("pip", "poetry")
PYTHON = f"3.{sys.version_info.minor}"


def make_request(*requirements: str, **others: object) -> LockRequest:
    request = LockRequest(
        image="serve",
        project="demo",
        folder="environments/serve",
        python=PYTHON,
        requirements=requirements,
        platforms=("linux/amd64",),
    )
    return msgspec.structs.replace(request, **others)


def lock(locker: str, request: LockRequest, current: LockResult | None = None) -> LockResult:
    before = current.native.content if current else None
    return load_locker(locker).lock(request, current=before, ca_certificates=None)


def without_sizes(result: LockResult) -> Any:
    """Return a result but for what one answer of the index tells and the next may not.

    A mirror may serve pages with sizes and without; what is not told is asked for afterwards.
    """

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(each) for name, each in value.items() if name != "size"}
        return [strip(each) for each in value] if isinstance(value, list | tuple) else value

    return strip(msgspec.to_builtins(result))


def versions(result: LockResult) -> dict[str, str]:
    return {package.name: package.version for package in result.packages}


def write(folder: Path, locker: str, request: LockRequest, result: LockResult) -> Path:
    """Write a locker's files as a project has them, and return their folder."""
    for file in (*load_locker(locker).render_inputs(request), result.native):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    return folder / request.folder


@pytest.fixture(scope="module")
def poetry() -> Path:
    """Return envgen's own poetry."""
    return ensure_tool("poetry") / "poetry"


@pytest.fixture(scope="module")
def wanted() -> LockRequest:
    """Return a request with extras, markers, binary wheels and two platforms."""
    return make_request(
        "scikit-learn>=1.5",
        "uvicorn[standard]>=0.30",
        "tabulate ; platform_machine == 'x86_64'",
        "colorama ; sys_platform == 'win32'",
        platforms=("linux/amd64", "linux/arm64"),
    )


@pytest.fixture(scope="module")
def results(wanted: LockRequest) -> dict[str, LockResult]:
    """Return what each locker makes of that request."""
    return {locker: lock(locker, wanted) for locker in LOCKERS}


@pytest.fixture
def index(serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Return an index with a package in two versions, and lockers without a cache."""
    ensure_tool("poetry")
    monkeypatch.setenv("POETRY_CACHE_DIR", str(tmp_path / "poetry"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    server = serve()
    server.add_wheel("demo_core", "1.0")
    server.add_wheel("demo_core", "2.0")
    server.add_wheel("demo_app", "1.0", "demo-core")
    return server


def on(index: Server, *requirements: str, **others: object) -> LockRequest:
    return make_request(*requirements, index=f"{index.url}/simple", **others)


@pytest.mark.parametrize("locker", OURS)
def test_every_locker_finds_the_same_packages(results: dict[str, LockResult], locker: str) -> None:
    assert versions(results[locker]).keys() == versions(results["uv"]).keys()
    assert "colorama" not in versions(results[locker])


@pytest.mark.parametrize("locker", OURS)
def test_every_locker_chooses_the_same_files(results: dict[str, LockResult], locker: str) -> None:
    """Nothing in this request leaves a choice, so the resolvers have to agree on versions, too."""
    assert versions(results[locker]) == versions(results["uv"])
    for ours, theirs in zip(results[locker].packages, results["uv"].packages, strict=True):
        for platform, artifact in theirs.downloads.items():
            assert ours.downloads[platform].sha256 == artifact.sha256


@pytest.mark.parametrize("locker", LOCKERS)
def test_package_of_one_platform_is_only_there(results: dict[str, LockResult], locker: str) -> None:
    (tabulate,) = (p for p in results[locker].packages if p.name == "tabulate")

    assert tabulate.downloads.keys() == {"linux/amd64"}
    assert tabulate.marker


@pytest.mark.parametrize("locker", OURS)
def test_locking_twice_gives_the_same_bytes(
    wanted: LockRequest, results: dict[str, LockResult], locker: str
) -> None:
    assert without_sizes(lock(locker, wanted)) == without_sizes(results[locker])


@pytest.mark.parametrize("locker", OURS)
def test_valid_lock_stays_as_it_is(
    wanted: LockRequest, results: dict[str, LockResult], locker: str
) -> None:
    again = lock(locker, wanted, results[locker])
    assert without_sizes(again) == without_sizes(results[locker])


@pytest.mark.parametrize("locker", OURS)
def test_lock_names_neither_this_machine_nor_an_index(
    results: dict[str, LockResult], locker: str
) -> None:
    text = results[locker].native.content.decode()

    assert "://" not in text
    assert str(Path.home()) not in text


def test_poetry_accepts_its_lock(
    wanted: LockRequest, results: dict[str, LockResult], poetry: Path, tmp_path: Path
) -> None:
    folder = write(tmp_path, "poetry", wanted, results["poetry"])

    done = subprocess.run(
        [poetry, "check", "--lock", "--strict", "--no-interaction"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "All set!" in done.stdout


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return plain pip, of an environment that has nothing else."""
    folder = tmp_path_factory.mktemp("pip") / "environment"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "pip"


def try_install(pip: Path, requirements: Path) -> subprocess.CompletedProcess[str]:
    options = ["--require-hashes", "--only-binary=:all:", "--dry-run", "--isolated", "--no-input"]
    return subprocess.run(
        [pip, "install", *options, f"--requirement={requirements}"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the image's wheels are Linux's")
def test_pip_installs_from_its_lock(
    pip: Path, wanted: LockRequest, results: dict[str, LockResult], tmp_path: Path
) -> None:
    folder = write(tmp_path, "pip", wanted, results["pip"])

    done = try_install(pip, folder / "requirements.txt")

    assert done.returncode == 0, done.stderr
    installed = re.search(r"Would install (.*)", done.stdout)
    assert installed
    assert f"scikit-learn-{versions(results['pip'])['scikit-learn']}" in installed[1].split()


def test_pip_refuses_a_tampered_lock(pip: Path, index: Server, tmp_path: Path) -> None:
    request = on(index, "demo-core")
    folder = write(tmp_path, "pip", request, lock("pip", request))
    requirements = folder / "requirements.txt"
    assert try_install(pip, requirements).returncode == 0

    text = requirements.read_text(encoding="utf-8")
    requirements.write_text(re.sub("sha256:.{8}", "sha256:00000000", text), encoding="utf-8")

    done = try_install(pip, requirements)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.parametrize("locker", OURS)
def test_pin_is_kept_until_an_upgrade_is_asked_for(index: Server, locker: str) -> None:
    """So is one that a person or a bot has moved: the lock need not be the newest one."""
    old = lock(locker, on(index, "demo-core<2"))
    request = on(index, "demo-core")

    kept = lock(locker, request, old)

    assert versions(kept) == {"demo-core": "1.0"}
    assert lock(locker, request, kept) == kept
    assert versions(lock(locker, request)) == {"demo-core": "2.0"}


@pytest.mark.parametrize("locker", OURS)
def test_named_package_alone_is_upgraded(index: Server, locker: str) -> None:
    index.add_wheel("demo_other", "1.0")
    old = lock(locker, on(index, "demo-core<2", "demo-other<2"))
    index.add_wheel("demo_other", "2.0")
    request = on(index, "demo-core", "demo-other", upgrade=("demo_core",))

    assert versions(lock(locker, request, old)) == {"demo-core": "2.0", "demo-other": "1.0"}


@pytest.mark.parametrize("locker", OURS)
def test_constraint_moves_a_pin_and_adds_nothing(index: Server, locker: str) -> None:
    request = on(index, "demo-app", constraints=("demo-core==1.0", "demo-absent==1.0"))

    held = lock(locker, request)

    assert versions(held) == {"demo-app": "1.0", "demo-core": "1.0"}
    unconstrained = msgspec.structs.replace(request, constraints=())
    assert lock(locker, unconstrained, held) == held


@pytest.mark.parametrize("locker", OURS)
def test_tampered_lock_is_refused(index: Server, locker: str) -> None:
    request = on(index, "demo-core")
    result = lock(locker, request)
    tampered = re.sub(rb"sha256:.{8}", b"sha256:00000000", result.native.content)
    native = msgspec.structs.replace(result.native, content=tampered)

    with pytest.raises(LockError, match=r"has files of demo-core 2\.0 that the index does not"):
        lock(locker, request, msgspec.structs.replace(result, native=native))


def run(folder: Path, *command: str | Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def upgrade_as_a_user(locker: str, folder: Path, poetry: Path, index: Server) -> None:
    """Let the locker move demo-core to its newest version, in the files as a project has them."""
    python = f"--python={sys.executable}"
    match locker:
        case "uv":
            run(folder, uv.find_uv_bin(), "lock", "--upgrade-package=demo-core", python)
        case "pip":
            compiled = ["pip", "compile", "requirements.in", "--output-file=requirements.txt"]
            options = ["--generate-hashes", "--upgrade-package=demo-core", python]
            run(folder, uv.find_uv_bin(), *compiled, *options, f"--index-url={index.url}/simple")
        case _:
            run(folder, poetry, "update", "demo-core", "--lock", "--no-interaction")


@pytest.mark.parametrize("locker", LOCKERS)
def test_upgrade_by_the_locker_itself_is_taken_up(
    index: Server, poetry: Path, tmp_path: Path, locker: str
) -> None:
    old = lock(locker, on(index, "demo-core<2"))
    request = on(index, "demo-core")
    folder = write(tmp_path, locker, request, lock(locker, request, old))
    native = folder / load_locker(locker).NATIVE

    upgrade_as_a_user(locker, folder, poetry, index)
    changed = msgspec.structs.replace(
        old, native=msgspec.structs.replace(old.native, content=native.read_bytes())
    )
    taken = lock(locker, request, changed)

    assert versions(taken) == {"demo-core": "2.0"}
    assert lock(locker, request, taken) == taken


@pytest.mark.parametrize("locker", OURS)
def test_version_that_a_person_wrote_over_the_hashes_of_another_is_refused(
    index: Server, locker: str
) -> None:
    request = on(index, "demo-core")
    result = lock(locker, request)
    edited = result.native.content.replace(b'"2.0"', b'"1.0"').replace(b"==2.0", b"==1.0")
    native = msgspec.structs.replace(result.native, content=edited)

    with pytest.raises(LockError, match=r"has files of demo-core 1\.0 that the index does not"):
        lock(locker, request, msgspec.structs.replace(result, native=native))


@pytest.mark.parametrize("locker", OURS)
def test_lock_names_the_index_of_the_spec(index: Server, locker: str) -> None:
    assert f"{index.url}/simple" in lock(locker, on(index, "demo-core")).native.content.decode()


@pytest.mark.parametrize("locker", OURS)
@pytest.mark.parametrize(
    ("requirements", "said"),
    [
        (["demo-absent"], "there is no package 'demo-absent' on the index"),
        (["demo-core<2", "demo-core>=2"], "cannot be met together"),
        (["demo-old", "demo-core>=2"], "cannot be met together"),
    ],
)
def test_what_cannot_be_had_is_told(
    index: Server, locker: str, requirements: list[str], said: str
) -> None:
    index.add_wheel("demo_old", "1.0", "demo-core<2")
    with pytest.raises(LockError) as caught:
        lock(locker, on(index, *requirements))

    (problem,) = caught.value.problems
    assert said in problem.what
    assert problem.key == "images.serve"
    assert "demo-" in problem.why


@pytest.mark.parametrize("locker", OURS)
def test_index_that_does_not_answer_is_told(index: Server, locker: str) -> None:
    request = on(index, "demo-core")
    index.stop()
    index.stop = lambda: None  # type: ignore[method-assign] # the fixture stops it once more

    with pytest.raises(NetworkError, match="did not answer"):
        lock(locker, request)


@pytest.mark.parametrize("locker", OURS)
def test_credentials_open_the_index_and_are_written_nowhere(
    index: Server, locker: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index.login = "reader:s3cret"
    caplog.set_level("DEBUG")
    request = on(index, "demo-core")
    with pytest.raises(EnvgenError, match="wants a login"):
        lock(locker, request)

    monkeypatch.setenv("ENVGEN_INDEX_USERNAME", "reader")
    monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "s3cret")
    result = lock(locker, request)

    assert versions(result) == {"demo-core": "2.0"}
    assert b"s3cret" not in result.native.content
    assert all("s3cret" not in artifact.url for p in result.packages for artifact in p.wheels)
    assert "s3cret" not in caplog.text


def test_mirror_named_for_poetry_is_used_and_leaves_no_trace(
    index: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POETRY_PYPI_MIRROR_URL", f"{index.url}/simple/")
    poetry_program._choose_poetry.cache_clear()
    try:
        result = lock("poetry", make_request("demo-core"))
    finally:
        poetry_program._choose_poetry.cache_clear()

    assert versions(result) == {"demo-core": "2.0"}
    assert index.url not in result.native.content.decode()


def test_poetry_resolves_for_the_images_python_and_not_for_the_one_that_runs_it() -> None:
    result = lock("poetry", make_request("numpy", python="3.10"))

    assert versions(result)["numpy"].startswith("2.2.")


@pytest.mark.parametrize("locker", OURS)
def test_specifiers_mean_the_same_everywhere(index: Server, locker: str) -> None:
    specifiers = ["~=1.0", "!=2.0,<2.1", "==2.*", ">=2.0rc1,<2.1", ">1.0,!=2.1.*", "<2.1.post1"]
    # Not "!=2.1": poetry stops with an AssertionError of its own where there is a 2.1+cu128.
    specifiers += ["", ">=3.0.dev0", "==2.1+cu128", ">2.1rc1", "<=2.1", "!=2.0", "==2.1"]
    for number, _ in enumerate(specifiers):
        for version in ("1.0", "1.1", "2.0", "2.1rc1", "2.1", "2.1+cu128", "2.1.post1", "3.0.dev1"):
            index.add_wheel(f"demo{number}", version)
    request = on(index, *(f"demo{n}{specifier}" for n, specifier in enumerate(specifiers)))

    assert versions(lock(locker, request)) == versions(lock("uv", request))
