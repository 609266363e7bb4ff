"""What a base has installed, from layers as registries keep them."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from envgen.apt.base import _name_system, _read_texts, list_installed
from envgen.image.region import Region

if TYPE_CHECKING:
    from pathlib import Path

STATUS = "var/lib/dpkg/status"


def make_layer(path: Path, **files: str) -> Region:
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return Region(path=path, start=0, size=path.stat().st_size)


def test_record_is_read_out_of_a_layer(tmp_path: Path) -> None:
    layer = make_layer(tmp_path / "layer.tar", **{STATUS: "Package: a\n", "etc/motd": "hello"})

    assert _read_texts(layer, {STATUS}) == {STATUS: "Package: a\n"}


def test_record_that_a_layer_takes_away_is_not_sought_below(tmp_path: Path) -> None:
    for whiteout in ("var/lib/dpkg/.wh.status", "var/lib/.wh.dpkg"):
        assert _read_texts(make_layer(tmp_path / "layer.tar", **{whiteout: ""}), {STATUS}) == {
            STATUS: ""
        }


def test_only_what_is_installed_for_the_processor_counts() -> None:
    rows = {
        "bash": "install ok installed\nArchitecture: amd64",
        "docs": "hold ok installed\nArchitecture: all",
        "gone": "deinstall ok config-files\nArchitecture: amd64",
        "foreign": "install ok installed\nArchitecture: i386",
    }
    status = "\n".join(
        f"Package: {name}\nStatus: {rest}\nVersion: 1\n" for name, rest in rows.items()
    )

    assert list(list_installed(status, "amd64")) == ["bash", "docs"]


def test_system_is_named_by_its_os_release() -> None:
    text = 'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n'

    assert _name_system({"usr/lib/os-release": text}) == "ubuntu 24.04"
