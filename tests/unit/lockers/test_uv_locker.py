"""uv as a locker: what it is given, and what its words mean."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envgen.errors import EnvgenError, LockError, NetworkError, ToolError
from envgen.lockers import LockRequest, uv, uv_program

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
            (folder / "uv.lock").write_bytes(b"new")

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
        assert seen["result"].native.content == b"new"
        assert seen["result"].native.path == "environments/serve/uv.lock"
        assert not seen["result"].native.guarded

    def test_machines_own_settings_stay_out(self, fp: FakeProcess) -> None:
        assert self.lock(fp)["env"]["UV_NO_CONFIG"] == "1"

    def test_login_goes_through_the_environment_alone(
        self, fp: FakeProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ENVGEN_INDEX_USERNAME", "user")
        monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "hunter2")

        seen = self.lock(fp, index="https://packages.example/simple")

        assert seen["env"]["UV_INDEX_INDEX_PASSWORD"] == "hunter2"
        assert not any(b"hunter2" in content for content in seen["files"].values())
        assert not any("hunter2" in str(call) for call in fp.calls)

    def test_without_network_the_cache_is_tried(self, fp: FakeProcess) -> None:
        def write(process: Any) -> None:
            Path(process._FakePopen__kwargs["cwd"], "uv.lock").write_bytes(b"cached")

        fp.register([UV, "lock", "--python", fp.any()], stderr=DEAD, returncode=2)
        fp.register([UV, "lock", fp.any(min=2, max=2), "--offline"], callback=write)
        fp.register([UV, "export", fp.any()], stdout=NO_PACKAGES)

        result = uv.lock(request(), current=None, ca_certificates=None)

        assert result.offline
        assert result.native.content == b"cached"

    def test_without_network_and_cache_the_network_is_to_blame(self, fp: FakeProcess) -> None:
        fp.register([UV, "lock", fp.any()], stderr=DEAD, returncode=2)
        fp.register([UV, "lock", fp.any()], stderr=MISSING, returncode=1)

        with pytest.raises(NetworkError, match="did not answer"):
            uv.lock(request(), current=None, ca_certificates=None)

    def test_failing_export_is_told(self, fp: FakeProcess) -> None:
        fp.register([UV, "lock", fp.any()])
        fp.register([UV, "export", fp.any()], stderr="no\n", returncode=2)

        with pytest.raises(ToolError, match="cannot export"):
            uv.lock(request(), current=None, ca_certificates=None)
