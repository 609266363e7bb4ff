import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.errors import NetworkError
from envgen.registry.credentials import Credential, _decode_pair, find_credential

SECRET = "hunter2"


def encode(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def write(path: Path, **content: Any) -> None:
    path.write_text(json.dumps(content))


def add_helper(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, script: str) -> None:
    helper = folder / f"docker-credential-{name}"
    helper.write_text(f"#!/bin/sh\nread -r server\n{script}\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_no_configuration_is_no_login() -> None:
    assert find_credential("ghcr.io") is None


@pytest.mark.parametrize("key", ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/"])
def test_login_is_found_by_the_host_of_its_key(docker_config: Path, key: str) -> None:
    write(docker_config, auths={key: {"auth": encode(f"me:{SECRET}")}})

    assert find_credential("ghcr.io") == Credential(username="me", password=SECRET)
    assert find_credential("quay.io") is None


def test_docker_hub_has_its_historic_key(docker_config: Path) -> None:
    write(docker_config, auths={"https://index.docker.io/v1/": {"auth": encode("me:pw")}})

    assert find_credential("docker.io") == Credential(username="me", password="pw")


def test_identity_token_goes_before_the_password(docker_config: Path) -> None:
    write(docker_config, auths={"x.io": {"auth": encode("me:"), "identitytoken": SECRET}})

    assert find_credential("x.io") == Credential(identity_token=SECRET)


def test_empty_entry_is_no_login(docker_config: Path) -> None:
    write(docker_config, auths={"x.io": {}})

    assert find_credential("x.io") is None


@given(st.text(st.characters(exclude_characters=":\0", codec="utf-8")), st.text())
def test_pair_is_read_back(username: str, password: str) -> None:
    password = password.rstrip("\0")

    assert _decode_pair(encode(f"{username}:{password}")) == (username, password)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"auths": []}',
        '{"auths": {"x.io": {"auth": "!hunter2!"}}}',
        '{"auths": {"x.io": {"auth": "/w=="}}}',
        '{"auths": {"x.io": {"auth": ["hunter2"]}}}',
    ],
)
def test_damaged_configuration_is_told_without_its_content(
    docker_config: Path, content: str
) -> None:
    docker_config.write_text(content)

    with pytest.raises(NetworkError, match="cannot be read") as caught:
        find_credential("x.io")
    assert SECRET not in str(caught.value)
    assert str(docker_config) in str(caught.value)


def test_helper_is_asked_for_the_registry(
    docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        """printf '{"ServerURL": "%s", "Username": "%s", "Secret": "s"}' "$server" "$server" """
    )
    add_helper(monkeypatch, tmp_path, "store", script)
    write(docker_config, credsStore="store")

    assert find_credential("ghcr.io") == Credential(username="ghcr.io", password="s")
    hub = find_credential("docker.io")
    assert hub == Credential(username="https://index.docker.io/v1/", password="s")


def test_helper_of_one_registry_goes_before_the_common_one(
    docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_helper(monkeypatch, tmp_path, "all", """echo '{"Username": "all", "Secret": "s"}'""")
    add_helper(monkeypatch, tmp_path, "one", """echo '{"Username": "<token>", "Secret": "s"}'""")
    write(docker_config, credsStore="all", credHelpers={"x.io": "one"})

    assert find_credential("x.io") == Credential(identity_token="s")
    assert find_credential("y.io") == Credential(username="all", password="s")


def test_helper_that_knows_nothing_leaves_the_stored_login(
    docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo 'credentials not found in native keychain'; exit 1"
    add_helper(monkeypatch, tmp_path, "empty", script)
    write(docker_config, credsStore="empty", auths={"x.io": {"auth": encode("me:pw")}})

    assert find_credential("x.io") == Credential(username="me", password="pw")
    assert find_credential("y.io") is None


def test_missing_helper_is_named(docker_config: Path) -> None:
    write(docker_config, credsStore="is-not-there")

    with pytest.raises(NetworkError, match="install docker-credential-is-not-there"):
        find_credential("x.io")


@pytest.mark.parametrize("script", ["echo hunter2; exit 3", 'echo \'{"Secret": "hunter2"}\''])
def test_failing_helper_is_told_without_what_it_said(
    docker_config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    script: str,
) -> None:
    caplog.set_level("DEBUG")
    add_helper(monkeypatch, tmp_path, "bad", script)
    write(docker_config, credsStore="bad")

    with pytest.raises(NetworkError, match="docker-credential-bad") as caught:
        find_credential("x.io")
    assert SECRET not in str(caught.value) + caplog.text


def test_text_of_a_login_shows_no_secret() -> None:
    credential = Credential(username="me", password=SECRET, identity_token=SECRET)

    assert SECRET not in f"{credential} {credential!r}"


def test_basic_header_is_the_encoded_pair() -> None:
    assert Credential(username="Aladdin", password="open sesame").basic == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )
