"""published.toml is written as it is read, and a damaged one is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.errors import LockError
from envgen.release.published import (
    EMPTY,
    Published,
    PublishedImage,
    read_published,
    write_published,
)

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)
ROWS = st.builds(
    PublishedImage,
    repository=st.sampled_from(["registry.example/team/serve", "127.0.0.1:5000/x"]),
    digest=DIGESTS,
    canonical=st.dictionaries(st.sampled_from(["linux/amd64", "linux/arm64"]), DIGESTS),
    platforms=st.lists(st.sampled_from(["linux/amd64", "linux/arm64"])).map(tuple),
    lock=DIGESTS,
    inputs=DIGESTS,
)


@given(st.dictionaries(st.sampled_from(["serve", "train", "a-b"]), ROWS))
def test_what_is_written_is_read(rows: dict[str, PublishedImage]) -> None:
    published = Published(images=rows)

    assert read_published(write_published(published)) == published


def test_order_of_images_does_not_matter() -> None:
    row = PublishedImage(
        repository="registry.example/a",
        digest=f"sha256:{'a' * 64}",
        canonical={},
        platforms=("linux/amd64",),
        lock=f"sha256:{'b' * 64}",
        inputs=f"sha256:{'c' * 64}",
    )

    assert write_published(Published(images={"b": row, "a": row})) == write_published(
        Published(images={"a": row, "b": row})
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"format = ", "is not TOML"),
        (b"\xff", "is not TOML"),
        (b"<<<<<<< HEAD\nformat = 1\n", "has conflict markers"),
        (b"format = 2\n", "has format 2"),
        (b"format = 1\n[images.serve]\ndigest = 'x'\n", "does not hold"),
        (write_published(EMPTY) + b"\n[images.serve]\nextra = 1\n", "does not hold"),
    ],
)
def test_damaged_file_is_refused(content: bytes, what: str) -> None:
    with pytest.raises(LockError, match=what):
        read_published(content)


def test_digest_cannot_add_a_line_to_a_manifest() -> None:
    row = 'repository = "r.example/a\\nimage: evil"\ndigest = "sha256:00"'

    with pytest.raises(LockError, match="does not hold"):
        read_published(f"format = 1\n[images.serve]\n{row}\n".encode())
