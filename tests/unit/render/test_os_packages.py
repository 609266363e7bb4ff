"""The stages and the order of layers of an image with OS packages beside CUDA libraries."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from envgen.lock.model import LockedApt, read_lock
from envgen.plan.image import make_plan
from envgen.plan.model import ImagePlan, Plan
from envgen.render import render
from envgen.spec.load import load_spec

CASE = Path(__file__).parents[2] / "golden" / "cuda-runtime"
APT = LockedApt(
    input_sha256="0" * 64,
    sha256="0" * 64,
    moment="20261101T000000Z",
    suites=(),
    base_sha256={},
    packages=2,
    names=("git", "libgl1"),
    download_bytes={"linux/amd64": 12_300_000},
    unpacked_bytes={"linux/amd64": 56_700_000},
)


@pytest.fixture
def plan() -> Plan:
    loaded = load_spec(CASE)
    lock = read_lock((CASE / "envgen.lock").read_bytes())
    image = msgspec.structs.replace(lock.images["asked"], apt=APT)
    lock = msgspec.structs.replace(lock, images={"asked": image})
    return make_plan(loaded.spec, lock, spec_file=loaded.file)


def dockerfile(plan: Plan, image: ImagePlan) -> str:
    files = render(msgspec.structs.replace(plan, images=(image,)))
    path = f"{image.folder}/Dockerfile"
    return next(file.content.decode() for file in files if file.path == path)


def test_cache_of_the_loader_comes_last_and_from_a_layer_of_its_own(plan: Plan) -> None:
    text = dockerfile(plan, plan.images[0])

    assert text.count("ldconfig") == 1
    copies = [line.split()[1] for line in text.splitlines() if line.startswith("COPY --from=")]
    assert copies[:4] == ["--from=system", "--from=apt", "--from=cuda", "--from=loader"]
    assert "FROM apt-system AS loader" in text


def test_layer_of_os_packages_is_keyed_by_its_own_files(plan: Plan) -> None:
    text = dockerfile(plan, plan.images[0])

    stage = text[text.index("AS debs") : text.index("AS apt-system")]
    assert stage.count("--mount=type=bind") == 2
    assert "environments/asked/apt.py" in stage
    assert "environments/asked/apt.toml" in stage
    assert "2 packages, 12.3 MB to download, 56.7 MB unpacked" in text


def test_build_from_a_bundle_names_no_place_to_download_from(plan: Plan) -> None:
    image = msgspec.structs.replace(plan.images[0], bundle="/bundle", index="", certificates=False)

    text = dockerfile(plan, image)

    assert "packages.example" not in text
    assert text.count("--mount=type=bind,from=bundle,target=/bundle") == 3
    assert "bundle" not in dockerfile(plan, plan.images[0])


def test_image_without_any_has_none_of_it() -> None:
    loaded = load_spec(CASE)
    lock = read_lock((CASE / "envgen.lock").read_bytes())
    text = "".join(
        dockerfile(made, image)
        for made in [make_plan(loaded.spec, lock, spec_file=loaded.file)]
        for image in made.images
    )

    assert "apt" not in text
