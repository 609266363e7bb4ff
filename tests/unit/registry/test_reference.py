import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.registry.reference import ImageReference, parse_reference, split_location

DIGEST = "sha256:" + "0123456789abcdef" * 4

_hosts = st.one_of(
    st.sampled_from(["docker.io", "localhost", "[::1]:5000", "127.0.0.1:5000", "Registry"]),
    st.from_regex(r"[a-zA-Z0-9]{1,8}(-[a-z0-9]{1,4})?\.[a-z]{2,4}(:[0-9]{1,5})?", fullmatch=True),
)
_parts = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
_repositories = st.lists(_parts, min_size=2, max_size=4).map("/".join)
_tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("library/python:3.13", "docker.io/library/python:3.13"),
        ("docker.io/python", "docker.io/library/python:latest"),
        ("index.docker.io/python", "docker.io/library/python:latest"),
        ("nvidia/cuda:12.8.1-base", "docker.io/nvidia/cuda:12.8.1-base"),
        (f"ghcr.io/x/y:z@{DIGEST}", f"ghcr.io/x/y:z@{DIGEST}"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"),
        ("[::1]:5000/x:y", "[::1]:5000/x:y"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("Registry/x", "Registry/x:latest"),
        ("a__b/c---d.e", "docker.io/a__b/c---d.e:latest"),
    ],
)
def test_short_names_mean_what_docker_takes_them_for(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("https://ghcr.io/x", "scheme"),
        ("a" * 64, "ID of a local image"),
        ("Python", "lower case"),
        ("ghcr.io/X/y", "lower case"),
        ("python:", "not a tag"),
        ("python:-slim", "not a tag"),
        ("python:3.13:slim", "not a tag"),
        ("python:" + "x" * 129, "not a tag"),
        ("python:3.13\n", "not a tag"),
        ("python@sha256:abc", "not a digest"),
        (f"python@{DIGEST.upper()}", "not a digest"),
        (f"python@{DIGEST}\n", "not a digest"),
        ("python@", "not a digest"),
        ("ghcr.io/", "not the name of a repository"),
        ("ghcr.io//x", "not the name of a repository"),
        ("a..b/c", "not the host"),
        ("-host.io/x", "not the host"),
        ("x y", "not the name of a repository"),
        ("pythön", "not the name of a repository"),
        ("x/" + "y" * 254, "at most 255"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_reference(text)


@given(_hosts, _repositories, _tags | st.just(""), _digests | st.just(""))
def test_full_text_is_read_back(host: str, repository: str, tag: str, digest: str) -> None:
    if not digest:
        tag = tag or "latest"
    reference = ImageReference(registry=host, repository=repository, tag=tag, digest=digest)

    assert parse_reference(str(reference)) == reference


@given(st.text())
def test_any_text_is_a_stable_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ValueError:
        return
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    ("mirror", "full"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000/library/python:3.13"),
        ("http://mirror.example:8080/", "mirror.example:8080/library/python:3.13"),
        ("https://mirror.example/hub/proxy", "mirror.example/hub/proxy/library/python:3.13"),
        ("https://me:secret@mirror.example", "mirror.example/library/python:3.13"),
    ],
)
def test_mirror_takes_the_place_of_the_registry(mirror: str, full: str) -> None:
    assert str(parse_reference("python:3.13").on(mirror)) == full


def test_pinning_replaces_the_digest_and_keeps_the_tag() -> None:
    pinned = parse_reference("python:3.13@sha256:" + "0" * 64).pinned(DIGEST)

    assert str(pinned) == f"docker.io/library/python:3.13@{DIGEST}"


def test_pinning_refuses_what_is_no_digest() -> None:
    with pytest.raises(ValueError, match="not a digest"):
        parse_reference("python").pinned("latest")


def test_location_is_split_into_host_and_path() -> None:
    assert split_location("https://u:p@host:1/a/b/") == ("host:1", "a/b")
