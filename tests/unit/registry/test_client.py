from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import urllib3

from envgen.errors import NetworkError
from envgen.registry import transport
from envgen.registry.client import FetchedImage, fetch_config, fetch_digest
from envgen.registry.failures import refused
from envgen.registry.reader import base_url
from envgen.registry.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.registry.conftest import FakeRegistry, Reply, Request

TAG = "/v2/team/app/manifests/1.0"
SECRET = "hunter2"
AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64", "variant": "v8"}


class Client:
    """Fetches team/app:1.0 and keeps the waits in mind instead of waiting."""

    def __init__(self, host: str) -> None:
        self.name = f"{host}/team/app:1.0"
        self.waits: list[float] = []

    def fetch(
        self, *, digest: str = "", mirrors: dict[str, str] | None = None, ca: Path | None = None
    ) -> FetchedImage:
        reference = parse_reference(self.name)
        return fetch_digest(
            reference.pinned(digest) if digest else reference,
            mirrors=mirrors or {},
            ca_certificates=ca,
            sleep=self.waits.append,
        )

    def fail(self, **arguments: Any) -> str:
        with pytest.raises(NetworkError) as caught:
            self.fetch(**arguments)
        return str(caught.value)


@pytest.fixture
def client(registry: FakeRegistry) -> Client:
    return Client(registry.host)


@pytest.fixture
def image(registry: FakeRegistry) -> str:
    """Put team/app:1.0 for one platform into the registry and return its digest."""
    return registry.add_image("team/app", "1.0", AMD64)


def log_in(docker_config: Path, host: str, **entry: str) -> None:
    docker_config.write_text(json.dumps({"auths": {host: entry}}))


def basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def empty_index(registry: FakeRegistry) -> Reply:
    return registry.manifest({"manifests": []})


def guard(registry: FakeRegistry, *tokens: str, realm: str = "") -> None:
    """Let team/app be read with one of some tokens only."""
    reply = empty_index(registry)
    realm = realm or f"http://{registry.host}/token"
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="svc"'}

    def answer(request: Request) -> Reply:
        if request.authorization in {f"Bearer {token}" for token in tokens}:
            return reply
        return registry.reply(401, headers=challenge)

    registry.on(TAG, answer)


class TestImages:
    def test_index_has_its_own_digest_and_every_platform(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        attestation = {"os": "unknown", "architecture": "unknown"}
        entries = [
            {"digest": f"sha256:{n}" + "0" * 63, "platform": platform}
            for n, platform in enumerate([AMD64, ARM64, attestation, AMD64])
        ]
        digest = registry.add_index("team/app", "1.0", *entries)

        fetched = client.fetch()

        assert fetched.digest == digest
        assert fetched.platforms == ("linux/amd64", "linux/arm64/v8")
        assert fetched.is_index

    def test_single_image_has_the_platform_of_its_configuration(
        self, client: Client, image: str
    ) -> None:
        fetched = client.fetch()

        assert fetched.digest == image
        assert fetched.platforms == ("linux/amd64",)
        assert not fetched.is_index

    @pytest.mark.usefixtures("image")
    def test_every_form_of_manifest_is_asked_for(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        client.fetch()

        assert registry.requests[0].headers["Accept"].split(", ") == [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
        ]

    def test_digest_is_computed_where_the_registry_sends_none(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        body = b'{"manifests": []}'
        registry.on(TAG, registry.reply(body=body, headers={"Content-Type": registry.index_type}))

        assert client.fetch().digest == registry.digest(body)

    def test_pinned_reference_is_read_by_its_digest(
        self, registry: FakeRegistry, client: Client, image: str
    ) -> None:
        registry.add_index("team/app", "1.0")

        assert client.fetch(digest=image).digest == image
        assert TAG not in registry.paths()

    def test_pinned_reference_refuses_other_content(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        digest = "sha256:" + "0" * 64
        registry.on(f"/v2/team/app/manifests/{digest}", registry.manifest({"manifests": []}))

        assert "does not match its digest" in client.fail(digest=digest)

    def test_configuration_is_that_of_the_platform(self, registry: FakeRegistry) -> None:
        other = registry.add_image("team/app", "other", AMD64)
        wanted = registry.add_image("team/app", "wanted", {**ARM64, "config": {"Env": ["A=1"]}})
        registry.add_index(
            "team/app",
            "1.0",
            {"digest": other, "platform": AMD64},
            {"digest": wanted, "platform": ARM64},
        )
        reference = parse_reference(f"{registry.host}/team/app:1.0")

        config = fetch_config(reference, platform="linux/arm64", mirrors={}, ca_certificates=None)

        assert config["config"] == {"Env": ["A=1"]}

    @pytest.mark.parametrize("platform", ["linux/arm", "linux/s390x", "linux/arm64/v9"])
    def test_missing_platform_names_those_that_are_there(
        self, registry: FakeRegistry, platform: str
    ) -> None:
        digest = "sha256:" + "0" * 64
        registry.add_index("team/app", "1.0", {"digest": digest, "platform": ARM64})
        reference = parse_reference(f"{registry.host}/team/app:1.0")

        with pytest.raises(NetworkError, match="it is for linux/arm64/v8"):
            fetch_config(reference, platform=platform, mirrors={}, ca_certificates=None)

    @pytest.mark.usefixtures("image")
    def test_single_image_for_another_platform_has_no_configuration(
        self, registry: FakeRegistry
    ) -> None:
        reference = parse_reference(f"{registry.host}/team/app:1.0")

        with pytest.raises(NetworkError, match="it is for linux/amd64"):
            fetch_config(reference, platform="linux/arm64", mirrors={}, ca_certificates=None)


class TestGarbage:
    @pytest.mark.parametrize(
        "body",
        [
            b"<html>",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b'{"manifests": [{"digest": "sha256:../../x"}]}',
            b'{"manifests": [{"digest": "sha256:%s", "platform": {"os": 1}}]}' % (b"0" * 64),
        ],
    )
    def test_what_is_no_manifest_is_refused(
        self, registry: FakeRegistry, client: Client, body: bytes
    ) -> None:
        headers = {"Content-Type": registry.index_type}
        registry.on(TAG, registry.reply(body=body, headers=headers))

        assert "not the JSON of a container image" in client.fail()

    @pytest.mark.parametrize(
        "media_type",
        ["text/html; charset=utf-8", "application/vnd.docker.distribution.manifest.v1+prettyjws"],
    )
    def test_other_content_types_are_refused(
        self, registry: FakeRegistry, client: Client, media_type: str
    ) -> None:
        registry.on(TAG, registry.manifest({"manifests": []}, media_type))

        assert f"its type is {media_type.partition(';')[0]}" in client.fail()

    @pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "md5:0", "latest"])
    def test_wrong_digest_is_refused(
        self, registry: FakeRegistry, client: Client, digest: str
    ) -> None:
        reply = registry.manifest({"manifests": []})
        reply.headers["Docker-Content-Digest"] = digest
        registry.on(TAG, reply)

        assert "does not match its digest" in client.fail()

    @pytest.mark.usefixtures("image")
    def test_wrong_configuration_is_refused(self, registry: FakeRegistry, client: Client) -> None:
        blob = registry.digest(json.dumps(AMD64).encode())
        registry.on(f"/v2/team/app/blobs/{blob}", registry.reply(body=b'{"os": "linux"}'))

        assert "does not match its digest" in client.fail()

    def test_oversized_manifest_is_refused(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(body=b" " * (transport.MAX_BODY_BYTES + 1)))

        assert f"larger than {4 * 1024 * 1024} bytes" in client.fail()


class TestRefusals:
    def test_missing_tag_is_told(self, client: Client) -> None:
        assert "/team/app:1.0 does not exist\n  why: " in client.fail()

    def test_missing_repository_is_told(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(404, body=b'{"errors": [{"code": "NAME_UNKNOWN"}]}'))

        assert "has no repository team/app" in client.fail()

    @pytest.mark.parametrize("status", [401, 403])
    def test_refusal_without_a_login_names_the_command(
        self, registry: FakeRegistry, client: Client, status: int
    ) -> None:
        registry.on(TAG, registry.reply(status))

        assert f"run `docker login {registry.host}`" in client.fail()

    def test_docker_hub_is_known_to_refuse_what_does_not_exist(self) -> None:
        problem = str(refused(parse_reference("no/such"), 401, b"", logged_in=False))

        assert "repositories that do not exist" in problem
        assert "docker login docker.io" in problem

    def test_odd_status_is_told(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(418))

        assert "answered 418" in client.fail()
        assert client.waits == []


class TestRetries:
    def test_server_error_is_tried_again(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(500), empty_index(registry))

        assert client.fetch().platforms == ()
        assert client.waits == [0.5]

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_server_error_that_stays_is_told(
        self, registry: FakeRegistry, client: Client, status: int
    ) -> None:
        registry.on(TAG, registry.reply(status))

        assert f"a failure of its own ({status})" in client.fail()
        assert len(registry.requests) == 3
        assert client.waits == [0.5, 1.0]

    def test_rate_limit_waits_as_long_as_it_is_told(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        limited = registry.reply(429, headers={"Retry-After": "7"})
        registry.on(TAG, limited, empty_index(registry))

        client.fetch()

        assert client.waits == [7.0]

    @pytest.mark.parametrize("retry_after", [{}, {"Retry-After": "soon"}])
    def test_rate_limit_that_does_not_say_is_tried_again_soon(
        self, registry: FakeRegistry, client: Client, retry_after: dict[str, str]
    ) -> None:
        registry.on(TAG, registry.reply(429, headers=retry_after))

        assert "too many requests" in client.fail()
        assert client.waits == [0.5, 1.0]

    @pytest.mark.parametrize("retry_after", ["21", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_long_wait_is_not_waited_for(
        self, registry: FakeRegistry, client: Client, retry_after: str
    ) -> None:
        registry.on(TAG, registry.reply(429, headers={"Retry-After": retry_after}))

        assert "too many requests" in client.fail()
        assert client.waits == []

    def test_waits_are_bounded_all_together(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(429, headers={"Retry-After": "15"}))

        client.fail()

        assert client.waits == [15.0]

    def test_closed_connection_is_tried_again(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(breaks=True), empty_index(registry))

        client.fetch()

        assert client.waits == [0.5]

    def test_connection_that_stays_closed_is_told(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        registry.on(TAG, registry.reply(breaks=True))

        assert f"{registry.host} cannot be reached\n  why: the connection broke" in client.fail()
        assert len(registry.requests) == 3

    def test_nobody_listening_is_told(self, client: Client) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            client.name = f"127.0.0.1:{unused.getsockname()[1]}/team/app:1.0"

            assert "accepts no connection" in client.fail()
        assert client.waits == [0.5, 1.0]

    def test_server_that_hangs_is_given_up_at_once(
        self, registry: FakeRegistry, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transport, "_TIMEOUT", urllib3.Timeout(connect=5, read=0.1))
        registry.on(TAG, registry.reply(hangs=True))

        assert "did not answer in time" in client.fail()
        assert client.waits == []

    def test_unknown_name_is_told(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        client.name = "registry.example/team/app:1.0"

        assert "registry.example cannot be reached\n  why: its name cannot" in client.fail()


class TestLogin:
    def test_anonymous_token_is_enough_for_public_images(
        self, registry: FakeRegistry, client: Client, docker_config: Path
    ) -> None:
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        guard(registry, "anonymous")
        registry.on("/token", registry.reply(body=b'{"token": "anonymous"}'))

        client.fetch()

        asked = registry.requests[1]
        assert asked.authorization is None
        assert parse_qs(asked.query) == {"service": ["svc"], "scope": ["repository:team/app:pull"]}

    @pytest.mark.usefixtures("image")
    def test_token_serves_the_whole_conversation(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        blob = f"/v2/team/app/blobs/{registry.digest(json.dumps(AMD64).encode())}"
        manifest = registry.manifest({"config": {"digest": blob[-71:]}}, registry.manifest_type)
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token"'}
        registry.on(TAG, registry.reply(401, headers=challenge), manifest)
        registry.on("/token", registry.reply(body=b'{"access_token": "t"}'))

        client.fetch()

        assert registry.paths() == [TAG, "/token", TAG, blob]
        assert registry.requests[-1].authorization == "Bearer t"

    @pytest.mark.parametrize("status", [200, 400, 401, 403])
    def test_login_is_used_where_an_anonymous_token_does_not_do(
        self, registry: FakeRegistry, client: Client, docker_config: Path, status: int
    ) -> None:
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        guard(registry, "mine")
        registry.on(
            "/token",
            registry.reply(status, body=b'{"token": "anonymous"}'),
            registry.reply(body=b'{"token": "mine"}'),
        )

        client.fetch()

        tokens = [request for request in registry.requests if request.path == "/token"]
        assert [request.authorization for request in tokens] == [
            None,
            f"Basic {basic('me', SECRET)}",
        ]

    def test_identity_token_is_sent_as_a_form(
        self, registry: FakeRegistry, client: Client, docker_config: Path
    ) -> None:
        log_in(docker_config, registry.host, auth=basic("me", ""), identitytoken=SECRET)
        guard(registry, "mine")
        registry.on("/token", registry.reply(401), registry.reply(body=b'{"token": "mine"}'))

        client.fetch()

        form = next(request for request in registry.requests if request.method == "POST")
        assert form.authorization is None
        assert parse_qs(form.body) == {
            "grant_type": ["refresh_token"],
            "refresh_token": [SECRET],
            "service": ["svc"],
            "scope": ["repository:team/app:pull"],
            "client_id": ["envgen"],
        }

    def test_basic_login_is_used_where_it_is_asked_for(
        self, registry: FakeRegistry, client: Client, docker_config: Path
    ) -> None:
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        registry.on(TAG, registry.reply(401, headers=challenge), empty_index(registry))

        client.fetch()

        assert [request.authorization for request in registry.requests] == [
            None,
            f"Basic {basic('me', SECRET)}",
        ]

    def test_login_helps_against_the_rate_limit(
        self, registry: FakeRegistry, client: Client, docker_config: Path
    ) -> None:
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token"'}
        limited = registry.reply(429, headers={"Retry-After": "3600"})
        registry.on(TAG, registry.reply(401, headers=challenge), limited, empty_index(registry))
        registry.on("/token", registry.reply(body=b'{"token": "t"}'))

        client.fetch()

        assert registry.paths() == [TAG, "/token", TAG, "/token", TAG]

    @pytest.mark.parametrize("status", [200, 401])
    def test_refused_login_is_told_without_its_secrets(
        self,
        registry: FakeRegistry,
        client: Client,
        docker_config: Path,
        caplog: pytest.LogCaptureFixture,
        status: int,
    ) -> None:
        caplog.set_level("DEBUG")
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        guard(registry, "another")
        registry.on("/token", registry.reply(status, body=b'{"token": "t0ken"}'))

        message = client.fail()

        assert "refuses it to this login (401)" in message
        said = message + caplog.text
        assert not any(secret in said for secret in (SECRET, basic("me", SECRET), "t0ken"))

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"<html>", b'{"token": 1}', b'{"token": "a\\r\\nX: b"}', b"\xff"]
    )
    def test_token_server_that_sends_no_token_is_told(
        self, registry: FakeRegistry, client: Client, body: bytes
    ) -> None:
        guard(registry, "x")
        registry.on("/token", registry.reply(body=body))

        assert "did not send a token" in client.fail()

    def test_token_server_with_a_failure_is_told(
        self, registry: FakeRegistry, client: Client
    ) -> None:
        guard(registry, "x")
        registry.on("/token", registry.reply(503))

        assert "a failure of its own (503)" in client.fail()

    @pytest.mark.parametrize("realm", ["ftp://x/token", "/token", "http://[", "file:///etc/x"])
    def test_odd_token_server_is_not_asked(
        self, registry: FakeRegistry, client: Client, realm: str
    ) -> None:
        guard(registry, "x", realm=realm)

        assert "token server is not reached by https" in client.fail()


class TestRedirects:
    @pytest.fixture
    def other(self, make_registry: Callable[[], FakeRegistry]) -> FakeRegistry:
        return make_registry()

    def test_other_host_does_not_get_the_login(
        self,
        registry: FakeRegistry,
        other: FakeRegistry,
        client: Client,
        docker_config: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        challenge = {"WWW-Authenticate": "Basic realm=x"}
        target = {"Location": f"http://{other.host}/stored?signature={SECRET}"}
        registry.on(
            TAG, registry.reply(401, headers=challenge), registry.reply(307, headers=target)
        )
        other.on("/stored", empty_index(other))

        client.fetch()

        assert registry.requests[-1].authorization is not None
        assert [request.authorization for request in other.requests] == [None]
        assert SECRET not in caplog.text

    def test_same_host_gets_the_login(
        self, registry: FakeRegistry, client: Client, docker_config: Path
    ) -> None:
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        challenge = {"WWW-Authenticate": "Basic realm=x"}
        moved = registry.reply(301, headers={"Location": "/moved"})
        registry.on(TAG, registry.reply(401, headers=challenge), moved)
        registry.on("/moved", empty_index(registry))

        client.fetch()

        assert registry.requests[-1].authorization == f"Basic {basic('me', SECRET)}"

    def test_form_with_an_identity_token_is_not_redirected(
        self, registry: FakeRegistry, other: FakeRegistry, client: Client, docker_config: Path
    ) -> None:
        log_in(docker_config, registry.host, identitytoken=SECRET)
        guard(registry, "x")
        target = {"Location": f"http://{other.host}/token"}
        registry.on("/token", registry.reply(401), registry.reply(307, headers=target))

        assert "answered 307" in client.fail()
        assert other.requests == []

    def test_endless_redirect_ends(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(302, headers={"Location": TAG}))

        assert "redirects without end" in client.fail()
        assert len(registry.requests) == 6

    def test_redirect_to_no_address_is_told(self, registry: FakeRegistry, client: Client) -> None:
        registry.on(TAG, registry.reply(302, headers={"Location": "http://["}))

        assert "what is no address" in client.fail()

    @pytest.mark.parametrize("target", ["http://cdn.example/x", "ftp://cdn.example/x"])
    def test_redirect_may_not_leave_https(self, target: str) -> None:
        with pytest.raises(NetworkError, match="not https"):
            transport._headers_after_redirect({}, "https://registry.example/v2/", target)


class TestMirrors:
    @pytest.fixture
    def mirror(self, make_registry: Callable[[], FakeRegistry]) -> FakeRegistry:
        return make_registry()

    def test_mirror_is_asked_first(
        self, registry: FakeRegistry, mirror: FakeRegistry, client: Client
    ) -> None:
        digest = mirror.add_image("team/app", "1.0", AMD64)

        assert client.fetch(mirrors={registry.host: mirror.host}).digest == digest
        assert registry.requests == []

    def test_mirror_may_have_a_path(
        self, registry: FakeRegistry, mirror: FakeRegistry, client: Client
    ) -> None:
        digest = mirror.add_image("hub/team/app", "1.0", AMD64)
        mirrors = {registry.host: f"http://{mirror.host}/hub"}

        assert client.fetch(mirrors=mirrors).digest == digest

    def test_registry_serves_what_the_mirror_does_not(
        self,
        registry: FakeRegistry,
        mirror: FakeRegistry,
        client: Client,
        image: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO")

        assert client.fetch(mirrors={registry.host: mirror.host}).digest == image
        assert f"{mirror.host}/team/app:1.0 does not exist" in caplog.text

    def test_both_failures_are_told(
        self, registry: FakeRegistry, mirror: FakeRegistry, client: Client
    ) -> None:
        mirror.on(TAG, mirror.reply(403))

        message = client.fail(mirrors={registry.host: mirror.host})

        assert f"{mirror.host}/team/app:1.0 may not be read" in message
        assert f"{registry.host}/team/app:1.0 does not exist" in message

    def test_mirror_does_not_get_the_login_of_the_registry(
        self, registry: FakeRegistry, mirror: FakeRegistry, client: Client, docker_config: Path
    ) -> None:
        log_in(docker_config, registry.host, auth=basic("me", SECRET))
        mirror.on(TAG, mirror.reply(401, headers={"WWW-Authenticate": "Basic realm=x"}))

        client.fail(mirrors={registry.host: mirror.host})

        assert [request.authorization for request in mirror.requests] == [None]

    @pytest.mark.parametrize(
        ("location", "url"),
        [
            ("docker.io", "https://registry-1.docker.io"),
            ("ghcr.io", "https://ghcr.io"),
            ("registry.example:5000", "https://registry.example:5000"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.0.0.2", "http://127.0.0.2"),
            ("[::1]", "http://[::1]"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("[fd00::1]:5000", "https://[fd00::1]:5000"),
            ("http://mirror.example/hub", "http://mirror.example"),
            ("https://localhost:5000", "https://localhost:5000"),
        ],
    )
    def test_plain_http_is_for_this_machine_or_on_request(self, location: str, url: str) -> None:
        assert base_url(location) == url


class TestNetwork:
    def test_size_is_learnt_without_the_body_by_many_at_once(
        self, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry.on("/wheel", registry.reply(body=b"12345"))
        url = f"http://{registry.host}/wheel"

        with transport.Transport(ca_certificates=None) as web, ThreadPoolExecutor(8) as executor:
            answers = list(executor.map(web.head, [url] * 16))

        assert {(answer.headers["Content-Length"], answer.body) for answer in answers} == {
            ("5", b"")
        }
        assert not caplog.records

    def test_proxy_is_used_with_its_login(
        self,
        registry: FakeRegistry,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@{registry.host}")
        asked = f"http://mirror.example{TAG}"
        registry.on(asked, empty_index(registry))

        client.fetch(mirrors={registry.host: "http://mirror.example"})

        assert registry.paths() == [asked]
        header = registry.requests[0].headers["Proxy-Authorization"]
        assert header == f"Basic {basic('me', SECRET)}"
        assert SECRET not in caplog.text

    def test_proxy_that_does_not_answer_is_told_without_its_login(
        self, registry: FakeRegistry, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.stop()
        monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@{registry.host}")

        message = client.fail(mirrors={registry.host: "http://mirror.example"})

        assert "the proxy did not let it through" in message
        assert SECRET not in message

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        """A certificate for localhost with its key, in one file."""
        if shutil.which("openssl") is None:
            pytest.skip("openssl, which makes the certificate, is not here")
        path = tmp_path / "localhost.pem"
        options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", str(path)]
        subprocess.run(["openssl", *options.split(), *names], check=True, capture_output=True)
        return path

    @pytest.fixture
    def secure(self, make_registry: Callable[[], FakeRegistry], certificate: Path) -> FakeRegistry:
        """A registry that speaks TLS, as localhost."""
        registry = make_registry()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        registry.wrap_socket(context.wrap_socket)
        registry.host = registry.host.replace("127.0.0.1", "localhost")
        return registry

    def test_given_certificate_is_trusted(
        self, registry: FakeRegistry, secure: FakeRegistry, client: Client, certificate: Path
    ) -> None:
        digest = secure.add_index("team/app", "1.0")
        mirrors = {registry.host: f"https://{secure.host}"}

        assert client.fetch(mirrors=mirrors, ca=certificate).digest == digest

    def test_certificate_of_the_environment_is_trusted(
        self,
        registry: FakeRegistry,
        secure: FakeRegistry,
        client: Client,
        certificate: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        digest = secure.add_index("team/app", "1.0")

        assert client.fetch(mirrors={registry.host: f"https://{secure.host}"}).digest == digest

    def test_unknown_certificate_is_told_with_its_reason(
        self, registry: FakeRegistry, secure: FakeRegistry, client: Client
    ) -> None:
        message = client.fail(mirrors={registry.host: f"https://{secure.host}"})

        assert f"{secure.host} cannot be reached" in message
        assert "its certificate is not trusted: self-signed certificate" in message
        assert client.waits == []

    def test_ca_file_without_certificates_is_told(self, client: Client, tmp_path: Path) -> None:
        path = tmp_path / "corp.pem"
        path.write_text("not a certificate")

        assert f"{path}: the CA certificates cannot be loaded" in client.fail(ca=path)

    def test_missing_ca_file_is_told(self, client: Client, tmp_path: Path) -> None:
        assert "No such file" in client.fail(ca=tmp_path / "none.pem")
