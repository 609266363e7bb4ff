import hashlib
from datetime import date
from pathlib import Path

import msgspec
import pytest

from bin import update_tools
from envgen import tables
from envgen.errors import EnvgenError

TODAY = date(2026, 12, 1)


def test_wheels_for_the_oldest_distribution_serve_all() -> None:
    tags = update_tools.manylinux_tags("x86_64", tables.distros())

    assert tags[0] == "manylinux_2_35_x86_64"
    assert tags[-1] == "manylinux_2_17_x86_64"


def test_row_describes_the_file(tmp_path: Path) -> None:
    wheel = tmp_path / "uv-1.2.3-py3-none-manylinux_2_28_aarch64.whl"
    wheel.write_bytes(b"wheel")

    row = update_tools.describe(wheel, "linux/arm64", TODAY)

    assert (row.name, row.version, row.platform) == ("uv", "1.2.3", "linux/arm64")
    assert (row.file, row.size) == (wheel.name, 5)
    assert row.sha256 == hashlib.sha256(b"wheel").hexdigest()
    assert row.source == "PyPI, 2026-12-01"


def test_unchanged_file_keeps_its_row() -> None:
    again = [msgspec.structs.replace(row, source="PyPI, later") for row in tables.tools()]

    assert update_tools.merge(tables.tools(), again) == tables.tools()


def test_new_version_replaces_the_rows() -> None:
    newer = tuple(msgspec.structs.replace(row, version="99") for row in tables.tools())

    assert update_tools.merge(tables.tools(), newer) == newer


def test_losing_a_row_fails() -> None:
    with pytest.raises(EnvgenError, match="rows would be lost"):
        update_tools.merge(tables.tools(), tables.tools()[1:])


def test_versions_that_differ_between_platforms_fail() -> None:
    first, *others = tables.tools()
    newer = msgspec.structs.replace(first, version="99")

    with pytest.raises(EnvgenError, match="several versions"):
        update_tools.merge(tables.tools(), [newer, *others])


def test_release_that_an_environment_pins_is_not_moved() -> None:
    assert update_tools.pinned_requirement("py-rattler") == "py-rattler==0.28.0"
    assert update_tools.pinned_requirement("uv") == "uv"
