"""conda-lock's input and lock, as far as they are text."""

from __future__ import annotations

import msgspec
import pytest

from envgen.errors import LockError, NetworkError, ToolError
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lockers import LockRequest, conda_lock
from envgen.lockers.conda_failures import explain_failure
from envgen.lockers.conda_layer import render_layer
from envgen.lockers.conda_lock_file import add_pip_rows, drop_pip_rows
from envgen.lockers.conda_names import conda_name, pypi_name
from envgen.lockers.conda_packages import CondaRow, Fault, Records, describe, find_problems
from envgen.lockers.conda_pip import merge_platforms, render_stand_in

REQUEST = LockRequest(
    image="train",
    project="demo",
    folder="environments/train",
    python="3.13",
    requirements=("httpx>=0.27", "tqdm"),
    platforms=("linux/amd64", "linux/arm64"),
    conda=("pytorch >=2.9", "mkl=2024.*"),
    channels=("conda-forge",),
    glibc="2.41",
)


def inputs(request: LockRequest) -> dict[str, str]:
    return {
        file.path.rpartition("/")[2]: file.content.decode().partition("\n")[2].partition("\n")[2]
        for file in conda_lock.render_inputs(request)
    }


def test_environment_has_python_and_what_is_listed() -> None:
    assert inputs(REQUEST)["environment.yml"] == (
        'name: "demo-train"\n'
        'channels:\n  - "conda-forge"\n'
        'platforms:\n  - "linux-64"\n  - "linux-aarch64"\n'
        'dependencies:\n  - "python 3.13.*"\n  - "pytorch >=2.9"\n  - "mkl=2024.*"\n'
    )


def test_requirements_stand_apart_and_only_where_there_are_any() -> None:
    assert inputs(REQUEST)["requirements.in"] == "httpx>=0.27\ntqdm\n"
    assert "requirements.in" not in inputs(msgspec.structs.replace(REQUEST, requirements=()))


def test_cuda_pins_builds_and_is_a_virtual_package() -> None:
    made = inputs(msgspec.structs.replace(REQUEST, cuda="12.8"))

    assert '"pytorch >=2.9 *cuda*"' in made["environment.yml"]
    assert '      __cuda: "12.8"\n' in made["virtual-packages.yml"]


def test_without_cuda_no_host_is_said_to_have_it() -> None:
    made = inputs(REQUEST)["virtual-packages.yml"]

    assert "__cuda" not in made
    assert made.count('__glibc: "2.41"') == 2
    assert '__archspec: "1 x86_64"' in made
    assert '__archspec: "1 aarch64"' in made


@pytest.mark.parametrize("field", ["upgrade", "constraints"])
def test_how_to_lock_is_no_input(field: str) -> None:
    changed = msgspec.structs.replace(REQUEST, **{field: ("numpy",)})

    assert conda_lock.render_inputs(changed) == conda_lock.render_inputs(REQUEST)


def test_date_is_an_input() -> None:
    changed = msgspec.structs.replace(REQUEST, exclude_newer="2026-11-01T00:00:00Z")

    assert conda_lock.render_inputs(changed) != conda_lock.render_inputs(REQUEST)


def artifact(name: str, *, size: int | None = 1, host: str = "files.example") -> Artifact:
    return Artifact(filename=name, url=f"https://{host}/{name}", sha256="ab" * 32, size=size)


LOCK = """\
# help
version: 1
metadata:
  channels: []
package:
- name: numpy
  version: 2.1.0
  manager: conda
  platform: linux-64
"""


def test_rows_of_pypi_are_added_and_taken_out_again() -> None:
    wheel = artifact("six-1.16.0-py2.py3-none-any.whl")
    package = LockedPackage(name="six", version="1.16.0", downloads={"linux/amd64": wheel})

    added = add_pip_rows(LOCK, [package], REQUEST.platforms)

    assert added.startswith(LOCK)
    assert added.count("manager: pip") == 1
    assert '  version: "1.16.0"\n' in added
    assert drop_pip_rows(added) == LOCK


def test_rows_of_pypi_are_found_wherever_they_stand() -> None:
    pip = "- name: six\n  manager: pip\n  dependencies:\n    a: b\n"
    head, rows = LOCK.split("package:\n")

    assert drop_pip_rows(f"{head}package:\n{pip}{rows}") == LOCK


def row(name: str = "pytorch", *, platform: str = "linux-64", build: str = "cuda126_0") -> CondaRow:
    url = f"https://conda.example/{platform}/{name}-2.5.1-{build}.conda"
    return CondaRow(
        platform=platform,
        name=name,
        version="2.5.1",
        url=url,
        sha256="ab" * 32,
        build=build,
        size=5,
        python=True,
    )


def records(*rows: CondaRow, faults: tuple[Fault, ...] = ()) -> Records:
    return Records(packages=rows, faults=faults)


def test_package_of_both_platforms_is_one_package() -> None:
    both = records(row(), row(platform="linux-aarch64"))

    (package,) = describe(both, REQUEST)

    assert (package.name, package.conda, package.marker) == ("torch", "pytorch", "")
    assert list(package.downloads) == ["linux/amd64", "linux/arm64"]


def test_package_of_one_platform_has_a_marker() -> None:
    (package,) = describe(records(row(platform="linux-aarch64")), REQUEST)

    assert package.marker == "platform_machine == 'aarch64'"


def test_cpu_build_is_a_problem_only_where_cuda_is_asked_for() -> None:
    cpu = records(row(build="cpu_mkl_0"))
    with_cuda = msgspec.structs.replace(REQUEST, cuda="12.8")

    assert [problem.what for problem in find_problems(cpu, with_cuda)] == [
        "pytorch 2.5.1 is a build without CUDA on linux-64"
    ]
    assert not [*find_problems(cpu, REQUEST)]


def test_cpu_build_that_the_spec_names_is_no_problem() -> None:
    request = msgspec.structs.replace(REQUEST, cuda="12.8", conda=("pytorch * cpu*",))

    assert not [*find_problems(records(row(build="cpu_mkl_0")), request)]


def test_fault_tells_platform_and_reason() -> None:
    fault = Fault(platform="linux-64", what="a 1 needs b >=2", why="the lock has b 1 0")

    (problem,) = find_problems(records(faults=(fault,)), REQUEST)

    assert "on linux-64: a 1 needs b >=2" in problem.what
    assert problem.why == "the lock has b 1 0"


def test_layer_has_a_row_for_every_archive() -> None:
    packages = describe(records(row(), row(platform="linux-aarch64")), REQUEST)

    text = render_layer(packages)

    assert text.count("{ platform = ") == 2
    assert 'conda = "pytorch"' in text


def test_names_go_both_ways() -> None:
    assert pypi_name("pytorch", needs_python=True) == "torch"
    assert pypi_name("graphviz", needs_python=False) == ""
    assert pypi_name("some_thing", needs_python=True) == "some-thing"
    assert pypi_name("libthing", needs_python=False) == ""
    assert conda_name("torch") == "pytorch"
    assert conda_name("Some.Thing") == "some-thing"


def test_stand_in_is_the_same_every_time() -> None:
    assert render_stand_in("numpy", "2.1.0") == render_stand_in("numpy", "2.1.0")


def test_versions_that_differ_by_platform_get_markers() -> None:
    def package(version: str, platform: str) -> LockedPackage:
        wheel = artifact(f"a-{version}-py3-none-any.whl")
        return LockedPackage(
            name="a", version=version, wheels=(wheel,), downloads={platform: wheel}
        )

    merged = merge_platforms(
        {
            "linux/amd64": [package("1", "linux/amd64"), package("3", "linux/amd64")],
            "linux/arm64": [package("2", "linux/arm64"), package("3", "linux/arm64")],
        }
    )

    assert [(found.version, found.marker) for found in merged] == [
        ("1", "platform_machine == 'x86_64'"),
        ("2", "platform_machine == 'aarch64'"),
        ("3", ""),
    ]


REFUSED = """\
Could not lock the environment for platform linux-64
{}
    Command: ['conda', 'create']
    STDOUT:
"""


def test_unsatisfiable_specs_are_a_lock_error() -> None:
    error = explain_failure("train", REFUSED.format("SolverError: Cannot solve:\n└─ numpy <1"))

    assert isinstance(error, LockError)
    assert error.problems[0].why == "Cannot solve:\n└─ numpy <1"


def test_silent_channel_is_a_network_error() -> None:
    error = explain_failure("train", REFUSED.format("GatewayError: error sending request"))

    assert isinstance(error, NetworkError)


def test_anything_else_is_the_tool_s_fault() -> None:
    error = explain_failure("train", "Traceback\nKeyError: 'x'\n")

    assert isinstance(error, ToolError)
    assert "KeyError" in error.problems[0].why
