"""What an image weighs at least, and what of it is told."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.lock.test_layers import package

from envgen.lock.limits import find_exceeded, least_bytes, parse_size, size_limits
from envgen.lock.model import LockedLayer
from envgen.lock.unpacked import find_directory, read_sizes, sum_unpacked

GB = 10**9


def layers(downloads: int, unpacked: int | None = None) -> tuple[LockedLayer, ...]:
    return (
        LockedLayer(
            name="packages",
            sha256="0" * 64,
            packages=1,
            download_bytes={"linux/amd64": downloads},
            unpacked_bytes={} if unpacked is None else {"linux/amd64": unpacked},
        ),
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * GB), ("1.5 GB", 3 * GB // 2), ("800MiB", 800 * 2**20), ("1GiB", 2**30)],
)
def test_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "2", "2 gb", "2TB", "-1GB", "0GB", "1e3GB", "1.5.1GB"])
def test_other_texts_are_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_size(text)


def test_what_is_not_known_unpacked_counts_as_it_is_downloaded() -> None:
    assert least_bytes(layers(2 * GB), "linux/amd64") == 2 * GB
    assert least_bytes(layers(2 * GB, 5 * GB), "linux/amd64") == 5 * GB


def test_limits_of_hosts_are_told_once_they_are_exceeded() -> None:
    assert list(find_exceeded(layers(GB))) == []
    told = list(find_exceeded(layers(3 * GB, 11 * GB)))
    assert len(told) == sum(limit.bytes < 11 * GB for limit in size_limits())
    assert all(limit.source for limit in size_limits())


def zip_of(sizes: list[int]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, size in enumerate(sizes):
            archive.writestr(f"package/file-{number}.py", b"x" * size)
    return file.getvalue()


@given(st.lists(st.integers(min_value=0, max_value=5000), max_size=20))
def test_table_of_contents_tells_what_the_files_weigh(sizes: list[int]) -> None:
    archive = zip_of(sizes)
    directory = find_directory(archive)
    assert directory is not None
    start, length = directory

    assert list(read_sizes(archive[start : start + length])) == sizes


@given(st.binary(max_size=200))
def test_what_is_no_archive_is_told_apart(content: bytes) -> None:
    found = find_directory(content)
    if found is None:
        return
    with pytest.raises(ValueError, match=r".*"):
        list(read_sizes(content[:8] + b"damaged"))


def test_sum_is_left_out_where_a_file_is_not_known() -> None:
    packages = [package("numpy", 16)]

    assert sum_unpacked(packages, ["linux/amd64"], {"0" * 64: 60}) == {"linux/amd64": 60}
    assert sum_unpacked(packages, ["linux/amd64"], {}) == {}
