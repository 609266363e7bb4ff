"""Uploads: nothing twice, with the login that they need, and to no stranger."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envgen.errors import NetworkError
from envgen.registry.reference import parse_reference
from envgen.registry.transport import Transport
from envgen.registry.writer import Writer

BLOB = b"a layer"
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
UPLOADS = "/v2/team/app/blobs/uploads/"
PLACE = "/v2/team/app/upload/1"


@pytest.fixture
def writer(registry: Any) -> Iterator[Writer]:
    with Transport(ca_certificates=None, sleep=lambda _: None) as transport:
        reference = parse_reference(f"{registry.host}/team/app:1")
        yield Writer(transport, reference, url=f"http://{registry.host}")


def write(writer: Writer) -> bool:
    return writer.write_blob(DIGEST, len(BLOB), lambda: [BLOB[:3], BLOB[3:]])


def accept_uploads(registry: Any, place: str = PLACE) -> None:
    reply = registry.reply
    registry.on(UPLOADS, reply(202, headers={"Location": place}))
    # The same address takes the content (PATCH) and then the digest (PUT).
    registry.on(
        PLACE,
        lambda request: reply(
            202 if request.method == "PATCH" else 201, headers={"Location": f"{place}?state=2"}
        ),
    )


def test_blob_is_sent_with_its_size_and_digest(registry: Any, writer: Writer) -> None:
    accept_uploads(registry)

    assert write(writer)

    patch, put = registry.requests[-2:]
    assert (patch.method, patch.body, patch.headers["Content-Length"]) == ("PATCH", "a layer", "7")
    assert (put.method, put.query) == ("PUT", f"state=2&digest={DIGEST.replace(':', '%3A')}")
    assert writer.sent_bytes == 7


def test_blob_that_is_there_is_not_sent(registry: Any, writer: Writer) -> None:
    registry.on(f"/v2/team/app/blobs/{DIGEST}", registry.reply())

    assert not write(writer)
    assert [request.method for request in registry.requests] == ["HEAD"]
    assert writer.sent_bytes == 0


def log_in(docker_config: Path, host: str) -> None:
    auths = {host: {"username": "ann", "password": "hunter2"}}
    docker_config.write_text(json.dumps({"auths": auths}), encoding="utf-8")


def test_login_of_pulls_is_asked_to_push(
    registry: Any, writer: Writer, docker_config: Path
) -> None:
    log_in(docker_config, registry.host)
    accept_uploads(registry)
    challenge = f'Bearer realm="http://{registry.host}/token",scope="repository:team/app:pull,push"'
    reply = registry.reply

    def start(request: Any) -> Any:
        if request.authorization != "Bearer writes":
            return reply(401, headers={"WWW-Authenticate": challenge})
        return reply(202, headers={"Location": PLACE})

    registry.on(UPLOADS, start)
    registry.on(
        "/token",
        lambda request: reply(
            body=json.dumps({"token": "writes" if request.authorization else "reads"}).encode()
        ),
    )

    assert write(writer)

    tokens = [request for request in registry.requests if request.path == "/token"]
    assert {"scope=repository%3Ateam%2Fapp%3Apull%2Cpush"} == {
        part for request in tokens for part in request.query.split("&") if "scope" in part
    }
    assert {request.authorization for request in registry.requests[-2:]} == {"Bearer writes"}


def test_login_does_not_go_to_another_host(
    registry: Any, make_registry: Callable[[], Any], writer: Writer, docker_config: Path
) -> None:
    log_in(docker_config, registry.host)
    other = make_registry()
    reply = registry.reply
    basic = {"WWW-Authenticate": 'Basic realm="x"'}
    registry.on(
        UPLOADS,
        lambda request: (
            reply(202, headers={"Location": f"http://{other.host}{PLACE}"})
            if request.authorization
            else reply(401, headers=basic)
        ),
    )
    accept_uploads(other, f"http://{other.host}{PLACE}")

    assert write(writer)
    assert [request.authorization for request in other.requests] == [None, None]


def test_refusal_is_told_without_its_words(registry: Any, writer: Writer) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "token abc"}]}).encode()
    registry.on(UPLOADS, registry.reply(403, body))

    with pytest.raises(NetworkError, match=re.escape("a login that may write there (403)")):
        write(writer)


def test_failure_is_told_with_its_code(registry: Any, writer: Writer) -> None:
    body = json.dumps({"errors": [{"code": "SIZE_INVALID", "message": "secret"}]}).encode()
    registry.on(UPLOADS, registry.reply(400, body))

    with pytest.raises(NetworkError, match=re.escape("answered 400 (SIZE_INVALID)")):
        write(writer)


def test_missing_index_is_an_empty_one(writer: Writer) -> None:
    assert writer.read_index("sha256-abc")["manifests"] == []


def test_garbage_for_an_index_is_refused(registry: Any, writer: Writer) -> None:
    registry.on("/v2/team/app/manifests/x", registry.reply(body=b"<html>"))

    with pytest.raises(NetworkError, match="x is no index"):
        writer.read_index("x")
