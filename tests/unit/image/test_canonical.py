"""One digest for one environment, whoever packed it; another digest for every other one."""

from __future__ import annotations

import io
import json
import random
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.image.archives import (
    CONFIG,
    digest,
    folder,
    link,
    member,
    pack,
    save_as_docker,
    save_as_layout,
)

from envgen.image.canonical import CanonicalImage, canonicalise
from envgen.image.store import open_image
from envgen.image.tar import FILE, FOLDER, SYMLINK, Entry, pad, read_entries, write_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LONG = "opt/" + "d" * 120 + "/ü"
MEMBERS = [
    folder("opt/"),
    member("opt/b", b"beta", mode=0o755),
    member("opt/a", b"alpha"),
    link("opt/l", "a"),
    link("opt/h", "opt/b", hard=True),
    member(LONG, b"long"),
    folder("opt/a-b"),
    member("opt/cap", b"x", pax_headers={"SCHILY.xattr.security.capability": "\x01\x02"}),
]


def read(path: Path, tmp_path: Path) -> CanonicalImage:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return canonicalise(open_image(path, scratch))


def read_saved(
    tmp_path: Path, layers: list[bytes], config: Mapping[str, Any] = CONFIG
) -> CanonicalImage:
    return read(save_as_docker(tmp_path / "image.tar", layers, config), tmp_path)


@pytest.fixture
def plain(tmp_path: Path) -> CanonicalImage:
    return read_saved(tmp_path, [pack(MEMBERS)])


def test_digest_is_the_same_in_every_version(plain: CanonicalImage) -> None:
    """It names environments: changing it breaks what users have written down."""
    assert plain.digest == "sha256:60473125ec2f2f782f62686ca9909ea03693a872d80bfb9ec2f8b17389a0599f"


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_layout_and_compression_do_not_matter(
    plain: CanonicalImage, tmp_path: Path, compression: str
) -> None:
    layout = save_as_layout(tmp_path / "layout", [pack(MEMBERS)], compression=compression)

    assert read(layout, tmp_path).manifest == plain.manifest


@pytest.mark.parametrize("seed", range(5))
def test_order_names_and_fractions_do_not_matter(
    plain: CanonicalImage, tmp_path: Path, seed: int
) -> None:
    noisy = []
    for info, content in MEMBERS:
        made = tarfile.TarInfo()
        for key in ("size", "mode", "type", "linkname", "pax_headers"):
            setattr(made, key, getattr(info, key))
        made.name = f"./{info.name}"
        made.mtime = 315532800.75
        made.uname, made.gname = "root", "wheel"
        made.pax_headers = {**info.pax_headers, "SCHILY.xattr.security.selinux": "label"}
        if made.islnk():
            made.linkname = f"./{made.linkname}"
        noisy.append((made, content))
    noisy.append(folder("./"))
    random.Random(seed).shuffle(noisy)  # noqa: S311 - no secret

    assert read_saved(tmp_path, [pack(noisy)]).digest == plain.digest


def test_gnu_archives_are_the_same(plain: CanonicalImage, tmp_path: Path) -> None:
    members = [entry for entry in MEMBERS if not entry[0].pax_headers]
    one = read_saved(tmp_path, [pack(members)])
    other = read_saved(tmp_path, [pack(members, form=tarfile.GNU_FORMAT)])

    assert one.digest == other.digest != plain.digest


def test_who_of_two_hard_links_holds_the_content_does_not_matter(tmp_path: Path) -> None:
    one = [member("a", b"x"), link("b", "a", hard=True)]
    other = [member("b", b"x"), link("a", "b", hard=True)]

    assert read_saved(tmp_path, [pack(one)]).digest == read_saved(tmp_path, [pack(other)]).digest


def test_empty_layers_do_not_matter(plain: CanonicalImage, tmp_path: Path) -> None:
    assert read_saved(tmp_path, [pack(MEMBERS), pack([])]).digest == plain.digest


def test_origin_does_not_matter(plain: CanonicalImage, tmp_path: Path) -> None:
    origin = {
        "org.opencontainers.image.revision": "0123abc",
        "org.envgen.spec": "sha256:1",
        "io.buildah.version": "1.43",
    }
    config = {**CONFIG, "Labels": {**CONFIG["Labels"], **origin}, "Hostname": "", "OnBuild": None}

    assert read_saved(tmp_path, [pack(MEMBERS)], config).digest == plain.digest


@pytest.mark.parametrize(
    "change",
    [
        {"User": "0"},
        {"Env": ["A=2"]},
        {"Cmd": ["other"]},
        {"Labels": {"org.envgen.lock": "sha256:2"}},
        {"Healthcheck": {"Test": ["NONE"]}},
    ],
)
def test_run_configuration_matters(
    plain: CanonicalImage, tmp_path: Path, change: dict[str, Any]
) -> None:
    assert read_saved(tmp_path, [pack(MEMBERS)], {**CONFIG, **change}).digest != plain.digest


@pytest.mark.parametrize(
    "changed",
    [
        member("opt/a", b"alphA"),
        member("opt/a", b"alpha", mode=0o600),
        member("opt/a", b"alpha", uid=1),
        member("opt/a", b"alpha", mtime=315532801),
        member("opt/b", b"alpha"),
        link("opt/a", "b"),
        member("opt/a", b"alpha", pax_headers={"SCHILY.xattr.user.x": "1"}),
    ],
)
def test_every_change_of_a_file_matters(
    plain: CanonicalImage, tmp_path: Path, changed: tuple[tarfile.TarInfo, bytes]
) -> None:
    members = [changed if info.name == "opt/a" else (info, content) for info, content in MEMBERS]

    assert read_saved(tmp_path, [pack(members)]).digest != plain.digest


def test_blobs_are_what_the_manifest_says(plain: CanonicalImage) -> None:
    manifest = json.loads(plain.manifest)
    config = json.loads(plain.config)
    for described, diff_id, layer in zip(
        manifest["layers"], config["rootfs"]["diff_ids"], plain.layers, strict=True
    ):
        content = b"".join(layer.layer.chunks())
        assert described["size"] == len(content)
        assert described["digest"] == diff_id == digest(content)


_NAME = st.binary(min_size=1, max_size=150).filter(
    lambda name: b"\0" not in name and not {b"", b".", b".."} & set(name.split(b"/"))
)
_ID = st.integers(0, 2**32 - 1)


@given(
    path=_NAME,
    kind=st.sampled_from([FILE, FOLDER, SYMLINK]),
    mode=st.integers(0, 0o7777),
    ids=st.tuples(_ID, _ID),
    mtime=st.integers(-(2**31), 2**33 - 1),
    content=st.binary(max_size=2000),
    target=_NAME,
    xattrs=st.dictionaries(st.from_regex(rb"user\.[a-z]{1,9}", fullmatch=True), st.binary()),
)
def test_headers_read_back(
    *,
    path: bytes,
    kind: bytes,
    mode: int,
    ids: tuple[int, int],
    mtime: int,
    content: bytes,
    target: bytes,
    xattrs: dict[bytes, bytes],
) -> None:
    size = len(content) if kind == FILE else 0
    entry = Entry(
        path=path,
        kind=kind,
        mode=0o777 if kind == SYMLINK else mode,
        uid=ids[0],
        gid=ids[1],
        size=size,
        mtime=mtime,
        link=target if kind == SYMLINK else b"",
        device=(0, 0),
        xattrs=tuple(sorted(xattrs.items())),
        offset=0,
    )
    header = write_header(entry)
    archive = header + pad(content[:size]) + bytes(1024)

    (found,) = read_entries(io.BytesIO(archive))

    assert found.offset == len(header)
    assert {name: getattr(found, name) for name in Entry.__struct_fields__ if name != "offset"} == {
        name: getattr(entry, name) for name in Entry.__struct_fields__ if name != "offset"
    }
