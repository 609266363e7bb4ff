"""Manifests: values keep their place, digests have theirs, and edits are noticed."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envgen.plan.image import make_plan
from envgen.plan.targets.model import UNPUBLISHED
from envgen.release.published import Published, PublishedImage
from envgen.render.files import render
from envgen.render.targets import write_cpu, write_quantity, write_size
from envgen.rendered import JSON_SEAL, is_untouched, seal_json
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

    from envgen.lock.model import Lock
    from envgen.plan.model import Plan
    from envgen.spec.model import Spec

ALL = ["compose", "kubernetes", "sagemaker", "apptainer", "ecs", "devcontainer"]
VALUES = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)


def make_spec(**image: Any) -> Spec:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {
            "serve": {
                "targets": ALL,
                "repository": "registry.example/team/serve",
                "port": 8080,
                "command": ["serve"],
                "run": {"memory": "2GiB"},
                **image,
            }
        },
    }
    return parse_spec(document, file="envgen.toml")


def publish(digest: str) -> Published:
    row = PublishedImage(
        repository="registry.example/team/serve",
        digest=digest,
        canonical={},
        platforms=("linux/amd64",),
        lock=f"sha256:{'1' * 64}",
        inputs=f"sha256:{'2' * 64}",
    )
    return Published(images={"serve": row})


@pytest.fixture(scope="module")
def make(make_lock: Callable[[Spec], Lock]) -> Callable[..., Plan]:
    """Return a function from an image's table to a plan."""

    def plan(published: Published | None = None, **image: Any) -> Plan:
        spec = make_spec(**image)
        published = published or Published()
        return make_plan(spec, make_lock(spec), spec_file="envgen.toml", published=published)

    return plan


def files(plan: Plan) -> dict[str, str]:
    """Return the manifests, without the image's folder."""
    prefix = "environments/serve/"
    return {
        file.path.removeprefix(prefix): file.content.decode()
        for file in render(plan)
        if "/runtime/envgen_runtime/" not in file.path
    }


def test_digest_changes_exactly_the_lines_that_carry_it(make: Callable[..., Plan]) -> None:
    digests = [f"sha256:{letter * 64}" for letter in "ab"]
    old, new = (files(make(publish(digest))) for digest in digests)

    assert old.keys() == new.keys()
    changed = 0
    for path in old:
        before, after = old[path].splitlines(), new[path].splitlines()
        assert len(before) == len(after)
        for left, right in zip(before, after, strict=True):
            if left != right and not re.search(rf'^# sha256:|"{re.escape(JSON_SEAL)}"', left):
                assert left.replace(digests[0], digests[1]) == right, path
                changed += 1
    # Two in each document that has an environment: the image, and the variable.
    documents = [path for path in old if digests[0] in old[path]]
    assert changed == 2 * len(documents)
    assert len(documents) == 1 + 2 + 3 + 1 + 3 + 1


def test_unpublished_image_is_named_by_a_digest_that_no_registry_has(
    make: Callable[..., Plan],
) -> None:
    plan = make()

    reference = f"registry.example/team/serve@{UNPUBLISHED}"
    assert plan.images[0].targets
    assert plan.images[0].targets.reference == reference
    (decision,) = (each for each in plan.images[0].decisions if each.about == "published")
    assert "nothing runs before" in decision.reason


def test_digest_of_another_repository_is_not_this_image(make: Callable[..., Plan]) -> None:
    plan = make(publish(f"sha256:{'a' * 64}"), repository="registry.example/other/serve")

    assert plan.images[0].targets
    assert not plan.images[0].targets.published


@given(value=VALUES)
def test_value_of_a_variable_arrives_as_it_is(make: Callable[..., Plan], value: str) -> None:
    image = {"targets": ALL[:-1], "run": {"memory": "1GB", "env": {"ODD": value}}}
    made = files(make(**image))

    compose = yaml.safe_load(made["compose.yaml"])
    service = compose["services"]["serve"]["environment"]["ODD"]
    # Compose's own rule: `$$` is a dollar, and a single one would begin a variable.
    assert "$" not in service.replace("$$", "")
    assert service.replace("$$", "$") == value
    pod = yaml.safe_load(made["kubernetes/base/deployment.yaml"])["spec"]["template"]["spec"]
    found = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert found["ODD"].replace("$$(", "$(") == value
    task = json.loads(made["ecs/task-definition.dev.json"])["containerDefinitions"][0]
    assert {"name": "ODD", "value": value} in task["environment"]
    (export,) = re.findall(r"^    export ODD=(.*)$", made["apptainer.def"], re.MULTILINE)
    assert shlex.split(export) == [value]


def test_image_without_targets_has_no_manifest(make: Callable[..., Plan]) -> None:
    made = files(make(targets=[]))

    assert not [path for path in made if path.endswith((".yaml", ".json", ".def"))]


def test_gpus_are_kept_from_a_container_that_asks_for_none(make: Callable[..., Plan]) -> None:
    image = {"gpu": {}, "run": {"memory": "1GB", "gpus": 0}}
    pod = yaml.safe_load(files(make(**image))["kubernetes/base/deployment.yaml"])
    (container,) = pod["spec"]["template"]["spec"]["containers"]

    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container["env"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]


@pytest.mark.parametrize(
    ("size", "kubernetes", "docker"),
    [(2**30, "1Gi", "1g"), (2 * 10**9, "2G", "1953125k"), (1500, "1500", "1500b"), (0, "0", "0g")],
)
def test_sizes_are_exact(size: int, kubernetes: str, docker: str) -> None:
    assert (write_quantity(size), write_size(size)) == (kubernetes, docker)


@pytest.mark.parametrize(("cpus", "text"), [(2000, '"2"'), (500, "500m"), (1250, "1250m")])
def test_processors_are_no_numbers_of_yaml(cpus: int, text: str) -> None:
    assert write_cpu(cpus) == text
    assert isinstance(yaml.safe_load(text), str)


@given(
    st.dictionaries(
        st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8).filter(
            lambda key: key not in {"place", JSON_SEAL}
        ),
        st.text(st.characters(blacklist_categories=["Cs"]), max_size=8),
    ),
    st.data(),
)
def test_edit_of_a_sealed_json_file_is_noticed(
    document: dict[str, str], data: st.DataObject
) -> None:
    content = seal_json(document, "place")
    assert is_untouched(content)
    assert is_untouched(content.replace(b"\n", b"\r\n"))

    position = data.draw(st.integers(0, len(content) - 1))
    edited = content[:position] + b"~" + content[position + 1 :]
    assert edited == content or not is_untouched(edited)


def test_edited_json_file_is_not_overwritten(rendered: Project) -> None:
    spec = rendered.read("envgen.toml")
    more = 'targets = ["ecs"]\nrepository = "registry.example/a"\nrun = { memory = "1GB" }\n'
    rendered.write("envgen.toml", spec + more)
    assert rendered.run("render").code == 0
    path = "environments/serve/ecs/task-definition.prod.json"
    rendered.write(path, rendered.read(path).replace("1024", "2048", 1))

    rendered.write("envgen.toml", spec + more.replace("1GB", "2GB"))
    outcome = rendered.run("render")

    assert outcome.code == 7
    assert path in outcome.err


def test_manifests_of_a_target_that_is_gone_are_removed(rendered: Project) -> None:
    spec = rendered.read("envgen.toml")
    names = json.dumps(ALL)
    more = 'port = 8080\ncommand = ["x"]\nrepository = "registry.example/a"\nrun.memory = "1GB"\n'
    rendered.write("envgen.toml", f"{spec}{more}targets = {names}\n")
    assert rendered.run("render").code == 0
    before = rendered.files()
    assert "environments/serve/ecs/task-definition.prod.json" in before

    rendered.write("envgen.toml", f"{spec}{more}")
    assert rendered.run("render").code == 0

    left = {path for path in rendered.files() if path.endswith((".json", ".def", "compose.yaml"))}
    assert left == set()
    assert not (rendered.root / "environments/serve/kubernetes").exists()
