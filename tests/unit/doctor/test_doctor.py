"""`doctor` as a user calls it: hosts from flags and files; images, wheels and suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from envgen.cuda.fleet import host_from_flags
from envgen.cuda.judge import judge
from envgen.doctor.engine import read_environment
from envgen.doctor.report import Finding, tabulate
from envgen.doctor.subjects import cuda_of_name, wheel_requirement
from envgen.doctor.suggest import suggest_release
from envgen.errors import ToolError, UsageError
from envgen.lock.model import LOCK_FILE, Lock, LockedGpuCode, write_lock
from envgen.process import Finished
from envgen.spec.load import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

    from envgen.spec.model import Spec

SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.12"

[images.train]
gpu = { targets = ["A100"], driver = ">=535" }

[images.serve]
"""

FLEET = """\
[pools.old]
driver = "470.82.01"
gpus = ["V100"]

[pools.new]
driver = "580.95.05"
gpus = ["H100", "L4"]
"""


@pytest.fixture
def gpu_project(project: Project, make_lock: Callable[[Spec], Lock]) -> Project:
    project.write("envgen.toml", SPEC)
    lock = make_lock(load_spec(project.root).spec)
    torch = LockedGpuCode(package="torch", version="2.10.0", cuda="12.8")
    train = msgspec.structs.replace(lock.images["train"], gpu_code=(torch,))
    images = {**lock.images, "train": train}
    project.write(LOCK_FILE, write_lock(msgspec.structs.replace(lock, images=images)))
    return project


def test_image_runs_on_a_driver_of_its_cuda_major(gpu_project: Project) -> None:
    done = gpu_project.run("doctor", "train", "--driver", "535.129.03", "--gpu", "A100")
    assert done.code == 0
    assert done.out.startswith("train on driver 535.129.03 with A100: runs\n")
    assert "minor-version compatibility" in done.out


def test_image_that_fails_says_need_have_and_fix_and_exits_with_9(gpu_project: Project) -> None:
    done = gpu_project.run("doctor", "train", "--driver", "450.80.02", "--gpu", "V100", "--json")
    (answer,) = done.json
    assert done.code == 9
    assert (answer["verdict"], answer["kind"]) == ("fails", "require-cuda-refused")
    assert all(answer[key] for key in ("need", "have", "fix"))


def test_cdi_enforces_nothing_so_the_failure_comes_from_the_driver(gpu_project: Project) -> None:
    done = gpu_project.run("doctor", "train", "--driver", "450.80.02", "--cdi", "--json")
    assert done.json[0]["kind"] == "driver-too-old"


def test_image_without_gpu_code_runs_anywhere(gpu_project: Project) -> None:
    done = gpu_project.run("doctor", "serve", "--driver", "450.80.02")
    assert (done.code, "nothing in it uses CUDA" in done.out) == (0, True)


def test_fleet_is_a_table_with_a_column_per_pool(gpu_project: Project) -> None:
    fleet = gpu_project.write("fleet.toml", FLEET)
    done = gpu_project.run("doctor", "--fleet", str(fleet), "--format", "markdown")
    assert done.code == 9
    table = done.out.split("\n\n", maxsplit=1)[0].splitlines()
    assert table[0] == "|  | old | new |"
    assert table[2:] == [
        "| train | fails: require-cuda-refused | runs |",
        "| serve | runs | runs |",
    ]


def test_missing_fleet_file_is_a_storage_error(gpu_project: Project) -> None:
    done = gpu_project.run("doctor", "--fleet", str(gpu_project.root / "none.toml"))
    assert (done.code, "none.toml" in done.err) == (8, True)


def test_unlocked_image_is_an_error_that_names_the_command(project: Project) -> None:
    done = project.run("doctor", "--driver", "580")
    assert (done.code, "envgen lock" in done.err) == (4, True)


def test_render_refuses_a_lock_that_does_not_run_on_the_targets(gpu_project: Project) -> None:
    gpu_project.write("envgen.toml", SPEC.replace('"A100"', '"GTX 1080", "A100"'))
    done = gpu_project.run("render", "--frozen")
    assert done.code == 4
    assert "images.train.gpu.targets[0]: the lock does not run on GTX 1080" in done.err
    assert "targets[1]" not in done.err


def test_render_refuses_a_cuda_that_the_lock_does_not_carry(gpu_project: Project) -> None:
    gpu_project.write("envgen.toml", SPEC.replace("gpu = {", 'gpu = { cuda = "13.0",'))
    done = gpu_project.run("render", "--frozen")
    assert done.code == 4
    assert "images.train.gpu.cuda: the locked packages carry CUDA 12.8, not 13.0" in done.err


def test_rendered_image_asks_for_the_oldest_cuda_that_will_do(gpu_project: Project) -> None:
    done = gpu_project.run("render", "--frozen", "-o", "-")
    train, serve = done.out.split("org.envgen.image=")[0], done.out.split("org.envgen.image=")[1]
    assert 'ENV NVIDIA_REQUIRE_CUDA="cuda>=12.0"' in train
    assert "CUDA_VERSION" not in done.out
    assert "NVIDIA" not in serve.split("FROM", maxsplit=1)[1]


@pytest.mark.parametrize("text", ["torch", "torch==", "torch==new"])
def test_wheel_without_a_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="NAME==VERSION"):
        wheel_requirement(text)


@pytest.mark.parametrize(
    ("text", "cuda"),
    [("torch==2.9.1+cu128", "12.8"), ("torch==2.15.0", "13.2"), ("torch==2.3.0+local", "None")],
)
def test_wheel_carries_the_cuda_of_its_variant_or_of_pypi(text: str, cuda: str) -> None:
    (part,) = wheel_requirement(text).components
    assert str(part.cuda) == cuda


def test_suggestion_runs_on_every_host_and_the_next_release_does_not() -> None:
    hosts = (host_from_flags("535.129.03", ["A100"]), host_from_flags("580.95.05", ["V100"]))
    found = suggest_release("torch", hosts)
    served = next(each for each in found if not each.variant)
    assert served.requirement == "torch==2.10.0"  # 2.11 went to CUDA 13, which 535 has not
    newer = wheel_requirement("torch==2.11.0")
    assert any(judge(newer, host).outcome == "fails" for host in hosts)


def test_suggestion_for_hopeless_hosts_is_none() -> None:
    assert suggest_release("torch", (host_from_flags("390.157", ["K80"]),)) == ()


def test_table_is_followed_by_what_does_not_run() -> None:
    requirement = wheel_requirement("torch==2.9.1+cu128")
    hosts = [host_from_flags("580", [gpu], name=gpu) for gpu in ("P100", "H100")]
    findings = tuple(
        Finding(subject=requirement.name, host=host, verdict=judge(requirement, host))
        for host in hosts
    )
    table, _, rest = tabulate(findings, markdown=False).partition("\n\n")
    assert table.splitlines()[1].split() == [
        "torch==2.9.1+cu128",
        "fails:",
        "no-kernel-image",
        "runs",
    ]
    assert rest.startswith("torch==2.9.1+cu128 on P100: fails: no-kernel-image")
    assert "H100" not in rest


def test_suggestion_says_what_of_the_spec_has_to_change(gpu_project: Project) -> None:
    spec = SPEC.replace('python = "3.12"', 'python = "3.12"\ndependencies = ["Torch>=2.11"]')
    gpu_project.write("envgen.toml", spec.replace("gpu = {", 'gpu = { cuda = "13.0",'))
    lines = gpu_project.run("doctor", "--suggest", "--driver", "535", "--gpu", "A100").out
    assert lines.startswith("torch==2.1")
    assert "  not torch==" in lines  # and why the next newer one is not it
    assert 'in the spec: project.dependencies: "torch==2.1' in lines
    assert ', not "Torch>=2.11"' in lines
    assert 'in the spec: images.train.gpu.cuda: "auto", not "13.0"' in lines
    assert "images.serve" not in lines


def test_suggestion_has_the_changes_as_data(gpu_project: Project) -> None:
    gpu_project.write("envgen.toml", SPEC.replace("gpu = {", 'gpu = { cuda = "13.0",'))
    done = gpu_project.run("doctor", "--suggest", "torch", "--driver", "535", "--json")
    served = next(each for each in done.json if not each["variant"])
    change = {"key": "images.train.gpu.cuda", "now": '"13.0"', "then": '"auto"'}
    assert served["spec"] == [change]


def test_suggestion_without_a_project_names_the_release(project: Project) -> None:
    done = project.run("doctor", "--suggest", "--driver", "580.95.05", "--gpu", "H100")
    assert (done.code, done.out.startswith("torch==")) == (0, True)
    assert "in the spec" not in done.out


def test_unknown_framework_is_refused_with_the_known_ones(project: Project) -> None:
    done = project.run("doctor", "--suggest", "numpy", "--driver", "580")
    assert (done.code, "known are torch" in done.err) == (2, True)


def test_each_gpu_of_a_mixed_host_has_its_own_answer(gpu_project: Project) -> None:
    arguments = ("train", "--driver", "570.86", "--gpu", "GTX 1080", "--gpu", "A100")
    done = gpu_project.run("doctor", *arguments)
    assert "  GTX 1080: fails: no-kernel-image: needs code for sm_61" in done.out
    assert "  A100: runs" in done.out
    (answer,) = gpu_project.run("doctor", *arguments, "--json").json
    assert [gpu["verdict"] for gpu in answer["gpus"]] == ["fails", "runs"]
    assert answer["gpus"][0]["fix"]


def answer_of_engine(returncode: int, stdout: str) -> Callable[..., Finished]:
    return lambda command, **_: Finished(
        argv=tuple(command), returncode=returncode, stdout=stdout, stderr=""
    )


def test_image_that_the_engine_has_is_read_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    start = answer_of_engine(0, '["CUDA_VERSION=12.8.1","PATH=/a=b"]')
    assert read_environment("app:1", start) == {"CUDA_VERSION": "12.8.1", "PATH": "/a=b"}
    assert read_environment("app:1", answer_of_engine(0, "null")) == {}


def test_engine_without_the_image_or_none_at_all_leaves_the_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(*_: object, **__: object) -> Finished:
        raise ToolError.single("docker ran into its time limit")

    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    assert read_environment("app:1", answer_of_engine(1, "")) is None
    assert read_environment("app:1", hang) is None
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert read_environment("app:1") is None


@pytest.mark.parametrize(
    ("reference", "cuda"),
    [
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", "12.4.1"),
        ("example.org/app:2.0-cuda12.8", "12.8"),
        ("nvcr.io/nvidia/pytorch:24.05-py3", "12.4"),
        ("example.org/app:2.0", "None"),
    ],
)
def test_name_of_an_image_tells_its_cuda(reference: str, cuda: str) -> None:
    assert str(cuda_of_name(reference)) == cuda


@pytest.mark.parametrize("variant", ["cpu", "rocm6.4", "xpu"])
def test_wheel_for_other_hardware_uses_no_cuda(variant: str) -> None:
    requirement = wheel_requirement(f"torch==2.9.1+{variant}")
    verdict = judge(requirement, host_from_flags("450.80.02", ["V100"]))
    assert (requirement.components, verdict.outcome) == ((), "runs")
    assert verdict.notes == (f"+{variant} is a build without CUDA",)


def test_hosts_that_fail_alike_are_told_together() -> None:
    requirement = wheel_requirement("torch==2.11.0")
    hosts = [host_from_flags(driver, ["A100"], name=driver) for driver in ("535", "550", "580")]
    findings = tuple(
        Finding(subject="torch", host=host, verdict=judge(requirement, host)) for host in hosts
    )
    rest = tabulate(findings, markdown=False).partition("\n\n")[2].splitlines()
    assert rest[0] == "torch on 535, 550: fails: driver-too-old"
    assert [line.rsplit("(", 1)[1] for line in rest if "have:" in line] == ["535)", "550)"]
