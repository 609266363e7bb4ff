"""The registry client against a real registry: one that mirrors docker.io on this machine."""

import http.client
import re

import pytest

from envgen.errors import NetworkError
from envgen.process import run
from envgen.registry.client import fetch_config, fetch_digest
from envgen.registry.reference import parse_reference

MIRROR = "127.0.0.1:5000"
IMAGE = "library/python:3.13-slim-trixie"

pytestmark = pytest.mark.container


@pytest.fixture(scope="module", autouse=True)
def _mirror() -> None:
    connection = http.client.HTTPConnection(MIRROR, timeout=5)
    try:
        connection.request("GET", "/v2/")
        status = connection.getresponse().status
    except OSError as error:
        pytest.skip(f"no registry on {MIRROR}: {error}")
    finally:
        connection.close()
    if status != http.client.OK:
        pytest.skip(f"the registry on {MIRROR} answers {status}")


def test_digest_is_the_one_that_docker_sees() -> None:
    done = run(["docker", "buildx", "imagetools", "inspect", f"{MIRROR}/{IMAGE}"])
    seen = re.search(r"^Digest:\s+(\S+)", done.stdout, re.MULTILINE)
    assert seen, done.stderr

    fetched = fetch_digest(
        parse_reference("python:3.13-slim-trixie"),
        mirrors={"docker.io": MIRROR},
        ca_certificates=None,
    )

    assert fetched.digest == seen[1]
    assert "linux/amd64" in fetched.platforms


def test_pinned_image_is_found_again() -> None:
    reference = parse_reference(f"{MIRROR}/{IMAGE}")
    digest = fetch_digest(reference, mirrors={}, ca_certificates=None).digest

    again = fetch_digest(reference.pinned(digest), mirrors={}, ca_certificates=None)

    assert again.digest == digest


def test_configuration_is_that_of_an_image() -> None:
    config = fetch_config(
        parse_reference(f"{MIRROR}/{IMAGE}"),
        platform="linux/amd64",
        mirrors={},
        ca_certificates=None,
    )

    assert config["os"] == "linux"
    assert config["rootfs"]


@pytest.mark.parametrize("image", ["library/python:no-such-tag", "no/such-repository:1"])
def test_missing_image_is_told(image: str) -> None:
    with pytest.raises(NetworkError, match="does not exist"):
        fetch_digest(parse_reference(f"{MIRROR}/{image}"), mirrors={}, ca_certificates=None)
