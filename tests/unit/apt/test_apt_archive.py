"""Signed lists and indexes, as a server delivers them."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING

import pytest

from envgen.apt.archive import fetch_packages, fetch_release
from envgen.apt.signature import SignedText, read_signed
from envgen.apt.tables import archives, find_distro, list_systems, suites
from envgen.errors import NetworkError
from envgen.registry.transport import Answer
from envgen.tables import distros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from envgen.registry.transport import Transport

URL = "https://mirror.example/debian/20261101T000000Z"
PACKAGES = "Package: tool\nVersion: {}\nArchitecture: amd64\nProvides: virtual\n"


class Served:
    """Answers with pages that are there, as far as archives are read."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.pages = pages

    def get(self, url: str, *, headers: Mapping[str, str]) -> Answer:
        del headers
        body = self.pages.get(url)
        return Answer(status=404 if body is None else 200, headers={}, body=body or b"")

    def download(
        self, url: str, *, headers: Mapping[str, str], write: Callable[[bytes], object]
    ) -> int:
        answer = self.get(url, headers=headers)
        write(answer.body)
        return answer.status


def serve(*versions: str, tampered: bool = False) -> Transport:
    text = "\n".join(PACKAGES.format(version) for version in versions)
    index = gzip.compress(text.encode())
    path = "main/binary-amd64/Packages.gz"
    line = f" {hashlib.sha256(index).hexdigest()} {len(index)} {path}"
    pages = {
        f"{URL}/dists/trixie/InRelease": f"Suite: trixie\nSHA256:\n{line}\n".encode(),
        f"{URL}/dists/trixie/{path}": index + b"\0" * tampered,
    }
    return Served(pages)  # type: ignore[return-value]  # it has what is used


def unchecked(content: bytes, about: str) -> SignedText:
    del about
    return SignedText(key="", text=content.decode())


def test_packages_are_read_the_newest_first_with_who_provides_what() -> None:
    transport = serve("1.0-1", "1.0-2", "1.0~rc1")

    release = fetch_release(transport, URL, suites("trixie")[0], unchecked)
    found = fetch_packages(transport, [release], "amd64")

    assert [package.version for package in found["tool"]] == ["1.0-2", "1.0-1", "1.0~rc1"]
    assert found.universe().providers == {"virtual": ("tool",)}
    assert found.archive_of(found["tool"][0]) == "debian"


def test_index_that_is_not_the_listed_one_is_refused() -> None:
    transport = serve("1", tampered=True)
    release = fetch_release(transport, URL, suites("trixie")[0], unchecked)

    with pytest.raises(NetworkError, match="is not the file that was expected"):
        fetch_packages(transport, [release], "amd64")


def test_architecture_that_is_not_listed_is_said() -> None:
    transport = serve("1")
    release = fetch_release(transport, URL, suites("trixie")[0], unchecked)

    with pytest.raises(NetworkError, match="has no main/binary-arm64/Packages"):
        fetch_packages(transport, [release], "arm64")


def test_archive_without_the_suite_is_said() -> None:
    with pytest.raises(NetworkError, match="has no suite bookworm"):
        fetch_release(serve(), URL, suites("bookworm")[0], unchecked)


def test_signature_that_nobody_can_check_is_said_unless_it_is_required(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keyring = tmp_path / "none.gpg"

    found = read_signed(b"text", about="trixie", keyring=keyring, required=False)

    assert found == SignedText(key="", text="text")
    assert "the signature of trixie is not checked" in caplog.text
    with pytest.raises(NetworkError, match="cannot be checked"):
        read_signed(b"text", about="trixie", keyring=keyring, required=True)


def test_every_suite_is_of_a_known_distribution_and_archive() -> None:
    assert {find_distro(system) for system in list_systems()} == {row.id for row in distros()}
    for distro in distros():
        assert {row.archive for row in suites(distro.id)} <= archives().keys()
