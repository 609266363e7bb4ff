import pytest

from envgen.registry.proxies import find_proxy, is_loopback

URL = "https://registry.example/v2/"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")

    assert find_proxy(URL) == "http://proxy.example:3128"


def test_proxy_without_scheme_is_reached_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")

    assert find_proxy(URL) == "http://proxy.example:3128"


def test_no_variable_is_no_proxy() -> None:
    assert find_proxy(URL) == ""


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("registry.example", URL),
        (".example", URL),
        ("*", URL),
        ("other.example, 10.0.0.0/8", "https://10.1.2.3:5000/v2/"),
        ("fd00::/8", "https://[fd00::1]/v2/"),
        ("", "http://127.0.0.1:5000/v2/"),
        ("", "http://localhost/v2/"),
        ("", "http://[::1]:5000/v2/"),
    ],
)
def test_exceptions_go_past_the_proxy(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", no_proxy)

    assert find_proxy(url) == ""


def test_other_networks_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,not-a-network")

    assert find_proxy("https://11.1.2.3/v2/") == "http://proxy.example"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.8.9.1", True), ("::1", True), ("127.example", False)],
)
def test_loopback_is_known_by_name(host: str, expected: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) is expected
