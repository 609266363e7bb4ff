"""published.toml after a push: the rows that changed, and those of images that are there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from envgen.errors import LockError
from envgen.release.publish import record_published
from envgen.release.published import PUBLISHED_FILE, PublishedImage

ROW = PublishedImage(
    repository="r.example/team/serve",
    digest=f"sha256:{'1' * 64}",
    canonical={"linux/amd64": f"sha256:{'2' * 64}"},
    platforms=("linux/amd64",),
    lock=f"sha256:{'3' * 64}",
    inputs=f"sha256:{'4' * 64}",
)
OTHER = msgspec.structs.replace(ROW, digest=f"sha256:{'5' * 64}")
IMAGES = {"serve", "train"}


def rows(root: Path) -> dict[str, str]:
    document = tomllib.loads((root / PUBLISHED_FILE).read_text(encoding="utf-8"))
    return {name: row["digest"] for name, row in document["images"].items()}


def test_rows_are_added_and_replaced(tmp_path: Path) -> None:
    assert record_published(tmp_path, {"train": ROW, "serve": ROW}, images=IMAGES)
    assert record_published(tmp_path, {"serve": OTHER}, images=IMAGES)

    assert rows(tmp_path) == {"serve": OTHER.digest, "train": ROW.digest}


def test_the_same_rows_write_nothing(tmp_path: Path) -> None:
    record_published(tmp_path, {"serve": ROW}, images=IMAGES)
    written = (tmp_path / PUBLISHED_FILE).stat()

    assert not record_published(tmp_path, {"serve": ROW}, images=IMAGES)
    assert (tmp_path / PUBLISHED_FILE).stat() == written


def test_row_of_an_image_that_is_gone_is_dropped(tmp_path: Path) -> None:
    record_published(tmp_path, {"serve": ROW, "old": ROW}, images={*IMAGES, "old"})

    record_published(tmp_path, {"serve": OTHER}, images=IMAGES)

    assert set(rows(tmp_path)) == {"serve"}


def test_file_with_conflict_markers_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    path = tmp_path / PUBLISHED_FILE
    path.write_text("<<<<<<< ours\n", encoding="utf-8")

    with pytest.raises(LockError, match="conflict markers"):
        record_published(tmp_path, {"serve": ROW}, images=IMAGES)

    assert path.read_text(encoding="utf-8") == "<<<<<<< ours\n"
