"""Where CUDA libraries come from: the wheels, the base, or an image of nvidia/cuda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envgen.cuda.needs import find_need
from envgen.cuda.tables import tables
from envgen.cuda.version import parse_version
from envgen.errors import LockError
from envgen.lock.model import Lock, LockedBase, LockedGpuCode, LockedImage, LockedSystemCuda
from envgen.lock.packages import LockedPackage
from envgen.plan.image import make_plan
from envgen.plan.system_cuda import choose_system_cuda, describe_base, hides_compat
from envgen.spec.parse import parse_spec
from envgen.tables import distros, find_base

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.cuda.tables import Need, SystemImage
    from envgen.plan.model import ImagePlan
    from envgen.spec.model import Spec

GPU: dict[str, Any] = {"gpu": {}}
DIGEST = "sha256:" + "a" * 64


def make_spec(**image: Any) -> Spec:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.12"},
        "images": {"serve": image},
    }
    return parse_spec(document, file="envgen.toml")


def need(name: str, version: str) -> Need:
    found = find_need(LockedPackage(name=name, version=version), "x86_64")
    assert found is not None
    return found


ORT_12, ORT_13 = need("onnxruntime-gpu", "1.26.0"), need("onnxruntime-gpu", "1.31.1")
TRITON, CUPY = need("triton", "3.5.1"), need("cupy-cuda12x", "14.2.0")


def choose(*needs: Need, runtimes: tuple[str, ...] = (), **image: Any) -> SystemImage | None:
    releases = tuple(parse_version(text) for text in runtimes)
    return choose_system_cuda(make_spec(**image), "serve", needs, releases)


class TestChoice:
    @pytest.mark.parametrize("needs", [(), (TRITON,), (CUPY,)])
    def test_auto_takes_nothing_that_no_runtime_image_has(self, needs: tuple[Need, ...]) -> None:
        assert choose(*needs, **GPU) is None

    def test_auto_takes_what_a_package_loads(self) -> None:
        found = choose(TRITON, ORT_12, **GPU)

        assert found is not None
        assert (found.flavour, found.cuda.split(".")[0]) == ("cudnn-runtime", "12")
        assert found.cudnn.split(".")[0] == "9"

    def test_image_that_is_not_for_a_gpu_takes_nothing(self) -> None:
        assert choose(ORT_12) is None

    @pytest.mark.parametrize("base", ["slim", "registry.example/team/gpu:1"])
    def test_base_that_the_spec_names_stays_as_it_is(self, base: str) -> None:
        assert choose(ORT_12, base=base, **GPU) is None

    @pytest.mark.parametrize(
        ("base", "flavour"),
        [
            ("cuda-base", "base"),
            ("cuda-runtime", "runtime"),
            ("cuda-cudnn-runtime", "cudnn-runtime"),
        ],
    )
    def test_spec_asks_for_a_flavour(self, base: str, flavour: str) -> None:
        found = choose(base=base)

        assert found is not None
        assert found.flavour == flavour

    def test_release_that_the_spec_fixes_is_taken(self) -> None:
        found = choose(ORT_12, gpu={"cuda": "12.6"})

        assert found is not None
        assert found.cuda == "12.6.3"

    def test_release_of_the_wheels_is_preferred(self) -> None:
        found = choose(runtimes=("12.8",), base="cuda-runtime")

        assert found is not None
        assert found.cuda == "12.8.1"

    def test_release_that_no_image_has_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(LockError) as caught:
            choose(ORT_13, gpu={"cuda": "12.8"})

        (problem,) = caught.value.problems
        assert problem.key == "images.serve.gpu.cuda"
        assert "onnxruntime-gpu needs the libraries of CUDA 13" in problem.why
        assert "13.0" in problem.fix

    def test_packages_of_two_cuda_majors_are_refused(self) -> None:
        with pytest.raises(LockError) as caught:
            choose(ORT_13, need("ctranslate2", "4.8.5"), **GPU)

        (problem,) = caught.value.problems
        assert "onnxruntime-gpu" in problem.why
        assert "ctranslate2" in problem.why


class TestTables:
    def test_every_image_has_a_digest_and_a_glibc(self) -> None:
        known = {distro.id for distro in distros()}
        for row in tables().system_images:
            base = find_base(row.image)
            assert base is not None, row.image
            assert base.distro == row.distro
            assert row.distro in known

    def test_every_need_that_an_image_serves_has_one(self) -> None:
        for row in tables().needs:
            if row.image:
                found = choose(row, **GPU)
                assert found is not None, row
                assert parse_version(found.cuda).major == int(row.cuda)

    @pytest.mark.parametrize(
        ("version", "cuda"), [("1.18.1", "11"), ("1.19.0", "12"), ("1.26.0", "12"), ("1.27", "13")]
    )
    def test_need_depends_on_the_version(self, version: str, cuda: str) -> None:
        assert need("onnxruntime-gpu", version).cuda == cuda

    def test_wheel_for_arm_may_need_nothing(self) -> None:
        assert find_need(LockedPackage(name="ctranslate2", version="4.8.5"), "aarch64") is None

    def test_conda_brings_what_its_packages_need(self) -> None:
        package = LockedPackage(name="tensorflow", version="2.18.0", conda="tensorflow")
        assert find_need(package, "x86_64") is None


@pytest.fixture
def plan(make_lock: Callable[[Spec], Lock]) -> Callable[..., ImagePlan]:
    """Return a function from an image's row of the lock and its table to its plan."""

    def make(change: dict[str, Any], *bases: LockedBase, **image: Any) -> ImagePlan:
        spec = make_spec(**image)
        lock = make_lock(spec)
        row: LockedImage = msgspec.structs.replace(lock.images["serve"], **change)
        others = tuple(base for base in lock.bases if base.image not in {b.image for b in bases})
        lock = msgspec.structs.replace(lock, bases=(*others, *bases), images={"serve": row})
        return make_plan(spec, lock, spec_file="envgen.toml").images[0]

    return make


def reasons(image: ImagePlan, about: str) -> list[tuple[str, str]]:
    return [(entry.choice, entry.reason) for entry in image.decisions if entry.about == about]


RUNTIME = LockedBase(
    image="docker.io/nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04", digest=DIGEST, origin="registry"
)
LINKED = {
    "links": ("onnxruntime-gpu==1.26.0",),
    "gpu_code": (LockedGpuCode(package="onnxruntime-gpu", version="1.26.0", cuda="12.8"),),
    "base_cuda": "12.8.1",
    "system_cuda": LockedSystemCuda(image=RUNTIME.image, asked="auto auto"),
}


class TestPlan:
    def test_libraries_are_taken_by_digest(self, plan: Callable[..., ImagePlan]) -> None:
        image = plan(LINKED, RUNTIME, **GPU)

        assert image.system_cuda is not None
        assert image.system_cuda.source.reference == f"{RUNTIME.image}@{DIGEST}"
        assert image.system_cuda.note == "onnxruntime-gpu 1.26.0"
        assert image.base.official_python

    def test_explanation_has_who_what_it_costs_and_what_else_would_do(
        self, plan: Callable[..., ImagePlan]
    ) -> None:
        image = plan(LINKED, RUNTIME, **GPU)

        ((choice, reason),) = reasons(image, "system CUDA")
        ((other, cost),) = reasons(image, "or else")
        assert choice == RUNTIME.image
        assert "onnxruntime-gpu 1.26.0 needs" in reason
        assert "2862.6 MB" in reason
        assert "onnxruntime-gpu[cuda,cudnn]" in other
        assert "1699.7 MB" in cost

    def test_wheels_that_bring_cuda_save_a_second_copy(
        self, plan: Callable[..., ImagePlan]
    ) -> None:
        torch = LockedGpuCode(package="torch", version="2.9.1", cuda="12.8")

        image = plan({"gpu_code": (torch,)}, **GPU)

        ((choice, reason),) = reasons(image, "system CUDA")
        assert image.system_cuda is None
        assert choice == "none"
        assert "bring CUDA 12.8 themselves" in reason
        assert "2862.6 MB" in reason

    def test_libraries_for_the_application_are_part_of_what_the_image_requires(
        self, plan: Callable[..., ImagePlan]
    ) -> None:
        asked = LockedSystemCuda(image=RUNTIME.image, asked="cuda-runtime auto")

        image = plan(
            {"system_cuda": asked, "base_cuda": "12.8.1"}, RUNTIME, base="cuda-runtime", **GPU
        )

        assert dict(image.env)["NVIDIA_REQUIRE_CUDA"] == "cuda>=12.0"
        assert "CUDA_VERSION" not in dict(image.env)

    def test_libraries_for_a_newer_system_are_refused(
        self, plan: Callable[..., ImagePlan], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("envgen.plan.system_cuda.find_glibc", lambda *_: "2.36")

        with pytest.raises(LockError) as caught:
            plan(LINKED, RUNTIME, **GPU)

        (problem,) = caught.value.problems
        assert "glibc 2.39" in problem.why
        assert "2.36" in problem.why

    def test_platform_that_requires_least_decides_about_the_variable(
        self, plan: Callable[..., ImagePlan]
    ) -> None:
        amd, arm = "linux/amd64", "linux/arm64"
        code = tuple(
            LockedGpuCode(package="torch", version=version, cuda=cuda, platforms=(platform,))
            for version, cuda, platform in (("2.9.1", "12.8", amd), ("2.11.0", "13.0", arm))
        )

        image = plan({"gpu_code": code}, platforms=[amd, arm], **GPU)

        assert dict(image.env)["NVIDIA_REQUIRE_CUDA"] == "cuda>=12.0"
        assert [choice for choice, _ in reasons(image, f"cuda on {arm}")] == ["13.0"]
        assert "machine aarch64\npackage torch 2.11.0\n" in image.cuda_requirement


OWN = "docker.io/nvidia/cuda:12.8.1-runtime-ubuntu24.04"


class TestCompat:
    @pytest.mark.parametrize(
        ("targets", "hidden"),
        [(["RTX 4090"], True), (["A100", "RTX 3090"], True), (["A100", "L4"], False), ([], False)],
    )
    def test_it_is_hidden_where_a_target_refuses_it(
        self, plan: Callable[..., ImagePlan], targets: list[str], *, hidden: bool
    ) -> None:
        base = LockedBase(image=OWN, digest=DIGEST, origin="registry")

        image = plan({}, base, base=OWN, gpu={"targets": targets}, **{"python-from": "base"})

        assert image.hides_compat is hidden
        assert len(reasons(image, "cuda-compat")) == hidden

    def test_base_without_it_has_nothing_to_hide(self) -> None:
        bare = LockedBase(image="registry.example/team/app:1", digest=DIGEST, origin="registry")
        own = msgspec.structs.replace(bare, environment={"CUDA_VERSION": "12.8.1"})

        assert not hides_compat(["RTX 4090"], bare)
        assert not hides_compat(["RTX 4090"], own)

    def test_variables_tell_more_than_the_name(self) -> None:
        variables = {
            "CUDA_VERSION": "13.0.2",
            "NVIDIA_REQUIRE_CUDA": "cuda>=13.0",
            "NVIDIA_PRODUCT_NAME": "CUDA",
            "NV_CUDNN_VERSION": "9.14.0.64-1",
            "NCCL_VERSION": "2.28.3-1",
        }
        base = LockedBase(image=OWN, digest=DIGEST, origin="registry", environment=variables)

        found = describe_base(base)

        assert found is not None
        assert found.compat is not None
        assert found.compat.loading == "toolkit"
        versions = (found.system_cuda, found.cudnn, found.nccl)
        assert [str(version) for version in versions] == ["13.0.2", "9.14.0.64", "2.28.3"]
