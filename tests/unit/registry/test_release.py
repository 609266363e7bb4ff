"""What a registry has already is found by its inputs; what broke off is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envgen.errors import NetworkError
from envgen.plan.image import make_plan
from envgen.registry.pushed import read_pushed
from envgen.registry.transport import Transport
from envgen.release.provenance import STATEMENT_TYPE
from envgen.release.published import EMPTY, Published, PublishedImage
from envgen.release.repository import Release, annotate, find_published, make_row, open_reader
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lock.model import Lock
    from envgen.spec.model import Spec

INPUTS = f"sha256:{'a1' * 32}"
TAG = "env-" + "a1" * 8
PATH = "/v2/team/serve"
CANONICAL = {"linux/amd64": f"sha256:{'2' * 64}", "linux/arm64": f"sha256:{'3' * 64}"}
CONFIG = {"architecture": "amd64", "os": "linux", "config": {"Labels": {"a": "b"}}}


@pytest.fixture
def release(registry: Any, make_lock: Callable[[Spec], Lock]) -> Release:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {"serve": {}},
    }
    spec = parse_spec(document, file="envgen.toml")
    plan = make_plan(spec, make_lock(spec), spec_file="envgen.toml").images[0]
    return Release(
        plan=plan,
        repository=f"{registry.host}/team/serve",
        inputs=INPUTS,
        platforms=plan.platforms,
    )


def find(release: Release, known: Published = EMPTY) -> PublishedImage | None:
    return find_published([release], known, None).get("serve")


def list_papers(registry: Any, path: str, *annotations: dict[str, str]) -> None:
    entries = [
        {"digest": f"sha256:{'9' * 64}", "artifactType": STATEMENT_TYPE, "annotations": each}
        for each in annotations
    ]
    registry.on(path, registry.manifest({"manifests": entries}))


def test_tag_is_made_of_the_inputs(registry: Any, release: Release) -> None:
    assert str(release.reference) == f"{registry.host}/team/serve:{TAG}"


def test_what_is_not_there_is_not_found(registry: Any, release: Release) -> None:
    assert find(release) is None
    assert [(each.method, each.path) for each in registry.requests] == [
        ("HEAD", f"{PATH}/manifests/{TAG}")
    ]


def test_known_row_takes_one_question(registry: Any, release: Release) -> None:
    digest = registry.add_image("team/serve", TAG, CONFIG)
    row = make_row(release, digest, CANONICAL)

    assert find(release, Published(images={"serve": row})) == row
    assert [each.method for each in registry.requests] == ["HEAD"]


@pytest.mark.parametrize("place", ["referrers/{digest}", "manifests/{tag}"])
def test_papers_tell_what_another_machine_published(
    registry: Any, release: Release, place: str
) -> None:
    digest = registry.add_image("team/serve", TAG, CONFIG)
    row = make_row(release, digest, CANONICAL)
    path = place.format(digest=digest, tag=digest.replace(":", "-"))
    list_papers(registry, f"{PATH}/{path}", {"another": "paper"}, annotate(row))

    assert find(release) == row
    assert row.platforms == ("linux/amd64", "linux/arm64")


def test_push_that_broke_off_before_its_papers_is_not_found(
    registry: Any, release: Release
) -> None:
    registry.add_image("team/serve", TAG, CONFIG)

    assert find(release) is None


def test_papers_of_other_inputs_do_not_count(registry: Any, release: Release) -> None:
    """Two keys may begin alike, and anybody who may push may set a tag."""
    digest = registry.add_image("team/serve", TAG, CONFIG)
    other = make_row(
        msgspec.structs.replace(release, inputs=f"sha256:{'a1' * 8}{'b' * 48}"), digest, CANONICAL
    )
    list_papers(registry, f"{PATH}/referrers/{digest}", annotate(other))

    assert find(release) is None


@pytest.mark.parametrize("change", ["digest", "inputs", "repository"])
def test_row_that_is_no_longer_true_is_not_believed(
    registry: Any, release: Release, change: str
) -> None:
    digest = registry.add_image("team/serve", TAG, CONFIG)
    row = make_row(release, digest, CANONICAL)
    changed = {
        "digest": f"sha256:{'4' * 64}",
        "inputs": f"sha256:{'5' * 64}",
        "repository": "r.example/team/serve",
    }
    known = msgspec.structs.replace(row, **{change: changed[change]})

    assert find(release, Published(images={"serve": known})) is None


def test_registry_that_does_not_say_is_an_error(registry: Any, release: Release) -> None:
    registry.on(f"{PATH}/manifests/{TAG}", registry.reply(403))

    with pytest.raises(NetworkError, match="wants a login"):
        find(release)


def test_tags_of_another_repository_need_a_build(registry: Any, release: Release) -> None:
    host = registry.host
    named = msgspec.structs.replace(release, tags=(f"{host}/team/serve:v1", f"{host}/other:v1"))

    assert named.other_tags is None
    assert find(named) is None
    assert registry.requests == []
    assert msgspec.structs.replace(release, tags=(f"{host}/team/serve:v1",)).other_tags == ("v1",)


def test_index_is_read_platform_by_platform(registry: Any, release: Release) -> None:
    entries = []
    for architecture in ("amd64", "arm64"):
        blob = registry.add_blob("team/serve", {**CONFIG, "architecture": architecture})
        content = {"config": {"digest": blob}, "layers": [{"digest": blob, "size": 7}]}
        digest = registry.add_manifest("team/serve", architecture, content, registry.manifest_type)
        platform = {"os": "linux", "architecture": architecture}
        entries.append({"digest": digest, "platform": platform})
    attested = {**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}}
    digest = registry.add_index("team/serve", TAG, *entries, attested)

    with Transport(ca_certificates=None, sleep=lambda _: None) as transport:
        pushed = read_pushed(open_reader(transport, release.reference))

    assert pushed.digest == digest
    assert [each.platform for each in pushed.platforms] == ["linux/amd64", "linux/arm64"]
    assert [each.size for each in pushed.platforms] == [7, 7]
    assert pushed.descriptor == {
        "mediaType": registry.index_type,
        "digest": digest,
        "size": len(json.dumps({"manifests": [*entries, attested]})),
    }
