"""The bake file: what Buildx is told of every image, and what no file may hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from envgen.build.bake import BakeTarget, render_bake
from envgen.plan.image import make_plan
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

    from envgen.lock.model import Lock
    from envgen.plan.model import ImagePlan
    from envgen.spec.model import Spec

NETWORK = {"index": "https://packages.example/simple", "ca-certificates": 'certs/co"rp.pem'}


@pytest.fixture(scope="module")
def plans(make_lock: Callable[[Spec], Lock]) -> tuple[ImagePlan, ...]:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "network": NETWORK,
        "images": {"serve": {}, "default": {"platforms": ["linux/amd64", "linux/arm64"]}},
    }
    spec = parse_spec(document, file="envgen.toml")
    return make_plan(spec, make_lock(spec), spec_file="envgen.toml").images


def bake(plans: tuple[ImagePlan, ...], **options: Any) -> Any:
    targets = [
        BakeTarget(plan=plan, tags=(f"r.example/{plan.name}:1",), platforms=plan.platforms)
        for plan in plans
    ]
    given = {"spec_sha256": "0" * 64, "ca_certificates": NETWORK["ca-certificates"], **options}
    return json.loads(render_bake(targets, **given))


def test_every_image_is_a_target_of_the_default_group(plans: tuple[ImagePlan, ...]) -> None:
    made = bake(plans)

    assert made["group"] == {"default": {"targets": ["default", "serve"]}}
    assert made["target"]["serve"]["dockerfile"] == "environments/serve/Dockerfile"
    assert made["target"]["default"]["platforms"] == ["linux/amd64", "linux/arm64"]
    assert made["target"]["serve"]["tags"] == ["r.example/serve:1"]


def test_order_of_images_does_not_matter(plans: tuple[ImagePlan, ...]) -> None:
    assert bake(plans) == bake(plans[::-1])


def test_secrets_are_named_and_not_told(
    plans: tuple[ImagePlan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "hunter2")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.example")

    made = bake(plans)

    assert "hunter2" not in json.dumps(made)
    assert made["target"]["serve"]["secret"] == [
        'id=ca,"src=certs/co""rp.pem"',
        "id=netrc,env=ENVGEN_NETRC",
    ]


def test_builder_attaches_nothing_that_carries_a_time(plans: tuple[ImagePlan, ...]) -> None:
    common = bake(plans)["target"]["_envgen"]

    assert common["attest"] == ["type=provenance,disabled=true", "type=sbom,disabled=true"]
    assert common["args"]["SOURCE_DATE_EPOCH"] == "315532800"


@pytest.mark.parametrize(
    ("given", "written"), [("a=${b}", "a=$${b}"), ("a=%{b}", "a=%%{b}"), ("a=$b,%c", "a=$b,%c")]
)
def test_text_does_not_become_an_expression(
    plans: tuple[ImagePlan, ...], given: str, written: str
) -> None:
    assert bake(plans, cache_to=(given,))["target"]["_envgen"]["cache-to"] == [written]


def test_command_prints_what_is_rendered(rendered: Project) -> None:
    outcome = rendered.run("bake")

    assert outcome.code == 0, outcome.err
    assert outcome.json["target"]["serve"]["tags"] == ["demo-serve"]


def test_repository_and_inputs_make_the_tag(project: Project) -> None:
    spec = project.read("envgen.toml")
    project.write("envgen.toml", spec + 'repository = "r.example/team/serve"\n')
    assert project.render_offline().code == 0

    (tag,) = project.run("bake").json["target"]["serve"]["tags"]

    assert tag.startswith("r.example/team/serve:env-")
    assert len(tag.rpartition("-")[2]) == 16


def test_stale_files_are_refused(rendered: Project) -> None:
    rendered.write("envgen.toml", rendered.read("envgen.toml") + 'env = { A = "1" }\n')

    outcome = rendered.run("bake")

    assert outcome.code == 1
    assert "render" in outcome.err
