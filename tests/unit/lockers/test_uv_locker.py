"""uv as a locker: what it is given, and what its words mean."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envgen.errors import EnvgenError, LockError, NetworkError, ToolError
from envgen.lockers import LockRequest, uv, uv_program
from envgen.lockers.indexes import PackageIndex

if TYPE_CHECKING:
    from pytest_subprocess import FakeProcess

UV = "/bin/uv"
NO_PACKAGES = 'lock-version = "1.0"\ncreated-by = "uv"\npackages = []\n'

UNSATISFIABLE = """\
Using CPython 3.11.7 interpreter at: /usr/bin/python3
error: No solution found when resolving dependencies
  cause: Because only numpy<=2.5.5 is available and your project depends on numpy>=99, we can \
conclude that your project's requirements are unsatisfiable.
"""
MISSING = """\
error: No solution found when resolving dependencies
  cause: Because nosuch was not found in the package registry and your project depends on nosuch, \
we can conclude that your project's requirements are unsatisfiable.
"""
DEAD = """\
error: Failed to fetch: `https://packages.example/simple/numpy/`
  cause: error sending request for url (https://packages.example/simple/numpy/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
DENIED = """\
error: Failed to fetch: `https://packages.example/simple/numpy/`
  cause: HTTP status client error (401 Unauthorized) for url (https://packages.example/)
"""


PYTORCH = PackageIndex(
    name="pytorch-cu128",
    declared="pytorch",
    url="https://pytorch.example/cu128",
    packages=("torch",),
)
NO_GIT = """\
error: Failed to download and build `x @ git+https://git.example/x@v1`
  cause: Git operation failed
  cause: Git executable not found. Ensure that Git is installed and available.
"""
NO_TAG = """\
error: Failed to download and build `x @ git+https://git.example/x@v1`
  cause: Git operation failed
  cause: failed to fetch branch or tag `v1`
"""
NO_TORCH = """\
error: No solution found when resolving dependencies
  cause: Because there are no versions of torch and your project depends on torch, we can conclude \
that your project's requirements are unsatisfiable.
"""


def request(**changes: Any) -> LockRequest:
    given = {
        "image": "serve",
        "project": "demo",
        "folder": "environments/serve",
        "python": "3.13",
        "requirements": ("numpy>=2", 'tomli; python_version < "3.11"'),
        "platforms": ("linux/amd64", "linux/arm64"),
    }
    return LockRequest(**(given | changes))


class TestInput:
    def document(self, **changes: Any) -> dict[str, Any]:
        (file,) = uv.render_inputs(request(**changes))
        assert file.path == "environments/serve/pyproject.toml"
        return tomllib.loads(file.content.decode())

    def test_it_has_the_requirements(self) -> None:
        assert self.document()["project"]["dependencies"] == list(request().requirements)

    def test_python_of_the_image_is_in_the_markers_of_every_platform(self) -> None:
        environments = self.document()["tool"]["uv"]["environments"]

        assert ["x86_64" in environments[0], "aarch64" in environments[1]] == [True, True]
        assert all("python_version == '3.13'" in marker for marker in environments)

    @pytest.mark.parametrize(("python", "oldest"), [("3.9", "3.9"), ("3.14", "3.11")])
    def test_interpreter_that_runs_uv_is_admitted(self, python: str, oldest: str) -> None:
        assert self.document(python=python)["project"]["requires-python"] == f">={oldest}"

    def test_index_takes_the_place_of_the_public_one(self) -> None:
        (index,) = self.document(index="https://packages.example/simple")["tool"]["uv"]["index"]

        assert index["default"]
        assert index["url"] == "https://packages.example/simple"

    def test_packages_of_another_index_come_from_there_alone(self) -> None:
        tool = self.document(indexes=(PYTORCH,), index="https://packages.example/simple")["tool"]

        assert tool["uv"]["sources"] == {"torch": {"index": "pytorch-cu128"}}
        assert tool["uv"]["index"][0] == {
            "name": "pytorch-cu128",
            "url": "https://pytorch.example/cu128",
            "explicit": True,
        }
        assert tool["uv"]["index"][1]["default"]

    def test_exclude_newer_passes_over_what_has_no_upload_time(self) -> None:
        times = msgspec.structs.replace(PYTORCH, upload_times=True)

        for index, exempt in ((PYTORCH, {"torch": False}), (times, None)):
            document = self.document(exclude_newer="2026-01-01T00:00:00Z", indexes=(index,))
            assert document["tool"]["uv"].get("exclude-newer-package") == exempt

    def test_nothing_of_the_network_is_there_unasked(self) -> None:
        assert not {"index", "exclude-newer"} & self.document()["tool"]["uv"].keys()

    @pytest.mark.parametrize(
        "changes",
        [
            {"requirements": ("numpy>=3",)},
            {"python": "3.12"},
            {"platforms": ("linux/amd64",)},
            {"index": "https://packages.example/simple"},
            {"exclude_newer": "2026-01-01T00:00:00Z"},
            {"indexes": (PYTORCH,)},
        ],
    )
    def test_whatever_changes_the_lock_changes_it(self, changes: dict[str, Any]) -> None:
        assert uv.render_inputs(request(**changes)) != uv.render_inputs(request())


@pytest.mark.parametrize(
    ("stderr", "kind", "what"),
    [
        (UNSATISFIABLE, LockError, "its dependencies cannot be met together"),
        (MISSING, LockError, "there is no package 'nosuch' on the index"),
        (DEAD, NetworkError, "the package index did not answer"),
        (DENIED, NetworkError, "the package index wants a login"),
        (NO_GIT, ToolError, "git is not on PATH"),
        (NO_TAG, NetworkError, "git could not fetch what is asked for"),
        ("error: something else\n", ToolError, "uv lock failed"),
    ],
)
def test_failure_is_explained_in_uvs_own_words(
    stderr: str, kind: type[EnvgenError], what: str
) -> None:
    error = uv_program.explain_failure("serve", stderr)

    (problem,) = error.problems
    assert type(error) is kind
    assert what in problem.what
    assert problem.key == "images.serve"
    assert "Using CPython" not in problem.why
    assert problem.why
    assert problem.fix or kind is ToolError


def test_package_that_its_own_index_lacks_is_told_with_that_index() -> None:
    (problem,) = uv_program.explain_failure("serve", NO_TORCH, (PYTORCH,)).problems

    assert "'torch' on the index pytorch, https://pytorch.example/cu128" in problem.what
    assert "builds of it for cu128" in problem.fix
    assert "ENVGEN_INDEX_PYTORCH_USERNAME" in problem.fix


def test_long_proof_is_cut_to_its_end() -> None:
    steps = "".join(f"  And because a{n} depends on b{n}, x.\n" for n in range(40))

    (problem,) = uv_program.explain_failure("serve", UNSATISFIABLE + steps).problems

    lines = problem.why.splitlines()
    assert lines[0].endswith("lines of uv's proof left out)")
    assert lines[-1] == "And because a39 depends on b39, x."
    assert len(lines) <= 13


class TestProgram:
    @pytest.fixture(autouse=True)
    def _uv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uv_program, "find_uv", lambda: UV)
        uv_program.probe_version.cache_clear()

    def lock(self, fp: FakeProcess, **changes: Any) -> Any:
        """Lock with a uv that succeeds; return its environment and what it found in its folder."""
        seen: dict[str, Any] = {}

        def look(process: Any) -> None:
            folder = Path(process._FakePopen__kwargs["cwd"])
            seen["env"] = process._FakePopen__kwargs["env"]
            seen["files"] = {path.name: path.read_bytes() for path in folder.iterdir()}
            (folder / "uv.lock").write_bytes(b"# new\n")

        fp.register([UV, "lock", fp.any()], callback=look)
        fp.register([UV, "export", fp.any()], stdout=NO_PACKAGES)
        seen["result"] = uv.lock(request(**changes), current=b"old", ca_certificates=None)
        return seen

    def test_version_is_read(self, fp: FakeProcess) -> None:
        fp.register([UV, "--version"], stdout="uv 0.13.9 (abc 2026-01-01)\n")

        assert uv.probe_version() == "0.13.9"

    @pytest.mark.parametrize(("out", "code"), [("", 1), ("hello\n", 0)])
    def test_program_that_is_no_uv_is_told(self, fp: FakeProcess, out: str, code: int) -> None:
        fp.register([UV, "--version"], stdout=out, stderr="broken", returncode=code)

        with pytest.raises(ToolError, match="uv does not run"):
            uv.probe_version()

    def test_it_locks_in_a_folder_of_its_own(self, fp: FakeProcess) -> None:
        seen = self.lock(fp)

        assert seen["files"].keys() == {"pyproject.toml", "uv.lock"}
        assert seen["files"]["uv.lock"] == b"old"
        assert seen["result"].native.content == b"# new\n"
        assert seen["result"].native.path == "environments/serve/uv.lock"
        assert not seen["result"].native.guarded

    def test_machines_own_settings_stay_out(self, fp: FakeProcess) -> None:
        assert self.lock(fp)["env"]["UV_NO_CONFIG"] == "1"

    def test_variables_that_choose_are_taken_away_and_those_that_connect_stay(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in list(os.environ):
            if name.startswith("UV_"):
                monkeypatch.delenv(name)
        assert uv_program.uv_command({}, "lock") == [UV, "lock"]

        for name in ("UV_RESOLUTION", "UV_INDEX", "UV_CACHE_DIR", "UV_INDEX_ACME_PASSWORD"):
            monkeypatch.setenv(name, "x")
        monkeypatch.setenv("PIP_INDEX_URL", "x")

        assert uv_program.uv_command({"UV_INDEX": "ours"}, "lock") == [
            "env",
            "--unset=UV_RESOLUTION",
            UV,
            "lock",
        ]

    def test_login_goes_through_the_environment_alone(
        self, fp: FakeProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ENVGEN_INDEX_USERNAME", "user")
        monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "hunter2")

        seen = self.lock(fp, index="https://packages.example/simple")

        assert seen["env"]["UV_INDEX_INDEX_PASSWORD"] == "hunter2"
        assert not any(b"hunter2" in content for content in seen["files"].values())
        assert not any("hunter2" in str(call) for call in fp.calls)

    def test_login_of_another_index_goes_by_its_name(
        self, fp: FakeProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ENVGEN_INDEX_PYTORCH_PASSWORD", "hunter2")

        seen = self.lock(fp, indexes=(PYTORCH,))

        assert seen["env"]["UV_INDEX_PYTORCH_CU128_PASSWORD"] == "hunter2"
        assert not any(b"hunter2" in content for content in seen["files"].values())

    def test_without_network_the_cache_is_tried(self, fp: FakeProcess) -> None:
        def write(process: Any) -> None:
            Path(process._FakePopen__kwargs["cwd"], "uv.lock").write_bytes(b"# cached\n")

        fp.register([UV, "lock", "--python", fp.any()], stderr=DEAD, returncode=2)
        fp.register([UV, "lock", fp.any(min=2, max=2), "--offline"], callback=write)
        fp.register([UV, "export", fp.any()], stdout=NO_PACKAGES)

        result = uv.lock(request(), current=None, ca_certificates=None)

        assert result.offline
        assert result.native.content == b"# cached\n"

    def test_without_network_and_cache_the_network_is_to_blame(self, fp: FakeProcess) -> None:
        fp.register([UV, "lock", fp.any()], stderr=DEAD, returncode=2)
        fp.register([UV, "lock", fp.any()], stderr=MISSING, returncode=1)

        with pytest.raises(NetworkError, match="did not answer"):
            uv.lock(request(), current=None, ca_certificates=None)

    def test_failing_export_is_told(self, fp: FakeProcess) -> None:
        def write(process: Any) -> None:
            Path(process._FakePopen__kwargs["cwd"], "uv.lock").write_bytes(b"")

        fp.register([UV, "lock", fp.any()], callback=write)
        fp.register([UV, "export", fp.any()], stderr="no\n", returncode=2)

        with pytest.raises(ToolError, match="cannot export"):
            uv.lock(request(), current=None, ca_certificates=None)
