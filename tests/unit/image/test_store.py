"""Images that cannot be read are told, and none is read by half."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from tests.unit.image.archives import folder, link, member, pack, save_as_docker, save_as_layout

from envgen.errors import StorageError
from envgen.image.filesystem import FileSystem, stack_layers
from envgen.image.store import open_image

if TYPE_CHECKING:
    from pathlib import Path

LAYER = pack([member("a", b"alpha")])


def stack(tmp_path: Path, *layers: bytes) -> FileSystem:
    return stack_layers(
        open_image(save_as_docker(tmp_path / "i.tar", list(layers)), tmp_path).layers
    )


def refuse(path: Path, why: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_image(path, path.parent)
    assert why in str(caught.value)


def test_flipped_byte_of_a_layer_is_refused(tmp_path: Path) -> None:
    path = save_as_docker(tmp_path / "i.tar", [LAYER])
    path.write_bytes(path.read_bytes().replace(b"alpha", b"alphA"))

    refuse(path, "and the configuration says")


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_flipped_byte_of_a_compressed_layer_is_refused(tmp_path: Path, compression: str) -> None:
    layout = save_as_layout(tmp_path / "layout", [LAYER], compression=compression)
    blob = max(layout.glob("blobs/sha256/*"), key=lambda file: file.read_bytes()[:1] in b"\x1f\x28")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)

    with pytest.raises(StorageError):
        open_image(layout, tmp_path)


def test_layer_that_ends_early_is_refused(tmp_path: Path) -> None:
    layout = save_as_layout(tmp_path / "layout", [LAYER], compression="gzip")
    blob = next(file for file in layout.glob("blobs/*/*") if file.read_bytes()[:2] == b"\x1f\x8b")
    blob.write_bytes(blob.read_bytes()[:-9])

    refuse(layout, "end before their time")


def test_missing_blob_is_named(tmp_path: Path) -> None:
    layout = save_as_layout(tmp_path / "layout", [LAYER])
    for blob in layout.glob("blobs/sha256/*"):
        if blob.read_bytes() == LAYER:
            blob.unlink()

    refuse(layout, "is missing")


def test_archive_of_two_images_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.tar"
    path.write_bytes(pack([member("manifest.json", json.dumps([{}, {}]).encode())]))

    refuse(path, "it holds 2 images")


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(LAYER), LAYER])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)

    refuse(path, "is not an image that can be read")


def test_gzip_of_several_members_is_read(tmp_path: Path) -> None:
    layout = save_as_layout(tmp_path / "layout", [LAYER], compression="gzip")
    blob = next(file for file in layout.glob("blobs/*/*") if file.read_bytes()[:2] == b"\x1f\x8b")
    half = len(LAYER) // 2
    blob.write_bytes(gzip.compress(LAYER[:half]) + gzip.compress(LAYER[half:]))

    (layer,) = open_image(layout, tmp_path).layers

    assert [entry.path for entry in layer.entries] == [b"a"]


def test_later_layers_hide_and_remove(tmp_path: Path) -> None:
    files = stack(
        tmp_path,
        pack([folder("d"), member("d/x"), member("d/y"), folder("e"), member("e/z"), member("f")]),
        pack([member("d/.wh.x"), member("e/.wh..wh..opq"), member("e/new"), link("f", "e")]),
    )

    assert sorted(files.files) == [b"d", b"d/y", b"e", b"e/new", b"f"]
    assert files.files[b"f"].entry.link == b"e"


def test_file_in_the_place_of_a_folder_takes_all_of_it_away(tmp_path: Path) -> None:
    files = stack(
        tmp_path, pack([folder("d"), folder("d/e"), member("d/e/x")]), pack([member("d")])
    )

    assert list(files.files) == [b"d"]


def test_hard_links_share_their_content(tmp_path: Path) -> None:
    files = stack(tmp_path, pack([member("b", b"beta"), link("a", "b", hard=True)]))

    assert [files.read_bytes(files.files[path]) for path in (b"a", b"b")] == [b"beta", b"beta"]
