"""What is said about two images that are not the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.image.archives import CONFIG, folder, member, pack, save_as_docker

from envgen.image.canonical import CanonicalImage, canonicalise
from envgen.image.difference import compare_images
from envgen.image.store import open_image

if TYPE_CHECKING:
    from pathlib import Path


def make(path: Path, *layers: Any, **config: Any) -> CanonicalImage:
    packed = [pack(layer) for layer in layers]
    return canonicalise(open_image(save_as_docker(path, packed, {**CONFIG, **config}), path.parent))


def compare(tmp_path: Path, one: list[Any], other: list[Any]) -> list[str]:
    images = (make(tmp_path / "1.tar", one), make(tmp_path / "2.tar", other))
    return [str(difference) for difference in compare_images(*images)]


def test_equal_images_have_no_difference(tmp_path: Path) -> None:
    assert compare(tmp_path, [member("a", b"x")], [member("a", b"x")]) == []


def test_content_is_told_with_its_first_byte(tmp_path: Path) -> None:
    assert compare(tmp_path, [member("a", b"abc")], [member("a", b"abX")]) == [
        "/a: content, from byte 2 on"
    ]


def test_mode_owner_size_and_time_are_told_together(tmp_path: Path) -> None:
    made = [member("a", b"xy", mode=0o755, uid=5, mtime=7)]

    (said,) = compare(tmp_path, [member("a", b"x", mtime=0)], made)

    assert said == (
        "/a: size 1, and 2 when rebuilt; mode 0644, and 0755 when rebuilt; "
        "owner 0:0, and 5:0 when rebuilt; time 0, and 7 when rebuilt"
    )


def test_missing_files_are_told_in_order(tmp_path: Path) -> None:
    assert compare(tmp_path, [member("b"), member("c")], [member("a"), folder("c")]) == [
        "/a: only in the rebuilt image",
        "/b: not in the rebuilt image",
        "/c: a file, and a folder when rebuilt",
    ]


def test_configuration_goes_first(tmp_path: Path) -> None:
    one = make(tmp_path / "1.tar", [member("a")], User="0")
    other = make(tmp_path / "2.tar", [member("b")], StopSignal="SIGINT")

    found = [difference.where for difference in compare_images(one, other)]

    assert found == ["config.StopSignal", "config.User", "/a", "/b"]


def test_same_files_in_other_layers_are_told(tmp_path: Path) -> None:
    one = make(tmp_path / "1.tar", [member("a"), member("b")])
    other = make(tmp_path / "2.tar", [member("a")], [member("b")])

    (difference,) = compare_images(one, other)

    assert str(difference).endswith("spread over layers in another way (1 and 2)")
