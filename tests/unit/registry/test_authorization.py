import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.registry.authorization import Challenge, parse_challenge

_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_challenge_of_docker_hub_is_understood() -> None:
    header = (
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
        'scope="repository:library/python:pull",error="insufficient_scope"'
    )

    assert parse_challenge(header) == Challenge(
        scheme="bearer",
        realm="https://auth.docker.io/token",
        service="registry.docker.io",
        scope="repository:library/python:pull",
    )


def test_bearer_goes_before_basic() -> None:
    challenge = parse_challenge('Basic realm="a", bearer Realm=b , Service = "c"')

    assert challenge == Challenge(scheme="bearer", realm="b", service="c")


@pytest.mark.parametrize("header", ["", "Negotiate", 'Digest realm="x"', "realm=x", ',="'])
def test_other_challenges_are_none(header: str) -> None:
    assert parse_challenge(header) is None


@given(_values, _values, _values)
def test_quoted_values_are_read_back(realm: str, service: str, scope: str) -> None:
    header = f"Bearer realm={quote(realm)},service={quote(service)},scope={quote(scope)}"

    assert parse_challenge(header) == Challenge(
        scheme="bearer", realm=realm, service=service, scope=scope
    )


@given(st.text())
def test_any_header_is_understood_or_ignored(header: str) -> None:
    challenge = parse_challenge(header)

    assert challenge is None or challenge.scheme in {"bearer", "basic"}
