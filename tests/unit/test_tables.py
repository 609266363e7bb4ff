import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen import tables
from envgen.cuda.tables import tables as cuda_tables
from envgen.errors import EnvgenError
from envgen.registry.reference import parse_reference
from envgen.tables import BaseImage, ToolArtifact

ROW = BaseImage(
    image="docker.io/library/python:3.13-slim-trixie",
    digest="sha256:" + "0" * 64,
    kind="index",
    python="3.13",
    distro="trixie",
    date="2026-08-05",
    seen=1,
    verified=False,
    source="a test",
)


def table(**changes: Any) -> str:
    row = {**msgspec.to_builtins(ROW), **changes}
    fields = {key: value for key, value in row.items() if value is not None}
    lines = ", ".join(f"{key} = {msgspec.json.encode(v).decode()}" for key, v in fields.items())
    return f"bases = [\n  {{ {lines} }},\n]\n"


def parse(text: str) -> tuple[BaseImage, ...]:
    return tables.parse_rows(text, "bases.toml", "bases", BaseImage)


class TestBundledTables:
    def test_images_are_named_in_full(self) -> None:
        for row in tables.bases():
            assert str(parse_reference(row.image)) == row.image

    def test_every_distribution_is_known(self) -> None:
        known = {row.id for row in tables.distros()}

        assert {row.distro for row in tables.bases()} <= known
        assert all(row.tag.endswith((row.distro, f"{row.distro}-slim")) for row in tables.bases())

    @pytest.mark.parametrize("distro", ["bookworm", "trixie"])
    @pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
    def test_every_python_has_a_slim_image(self, python: str, distro: str) -> None:
        base = tables.find_base(f"docker.io/library/python:{python}-slim-{distro}")

        assert base is not None
        assert base.python == python

    @pytest.mark.parametrize("repository", ["docker.io/library/debian", "docker.io/nvidia/cuda"])
    def test_other_images_are_indexes(self, repository: str) -> None:
        rows = [row for row in tables.bases() if row.repository == repository]
        # What CUDA libraries may come from is listed for update_bases.py, proven or not.
        listed = {row.image for row in cuda_tables().system_images}

        assert rows
        assert {row.kind for row in rows if row.image not in listed} == {"index"}

    def test_no_digest_stands_for_two_images(self) -> None:
        digests = [row.digest for row in tables.bases()]

        assert len(set(digests)) == len(digests)

    def test_unknown_image_has_no_row(self) -> None:
        assert tables.find_base("docker.io/library/python:2.7") is None

    def test_tools_are_found_in_the_order_of_the_platforms(self) -> None:
        found = tables.find_tool("uv", ["linux/arm64", "linux/s390x", "linux/amd64"])

        assert [row.platform for row in found] == ["linux/arm64", "linux/amd64"]
        assert len({row.version for row in found}) == 1
        assert all(row.file.startswith(f"uv-{row.version}-py3-none-manylinux") for row in found)

    @pytest.mark.parametrize("path", [tables.BASES_FILE, tables.TOOLS_FILE])
    def test_each_row_has_its_line(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        arrays: dict[str, Any] = {
            "bases": tables.bases(),
            "distros": tables.distros(),
            "tools": tables.tools(),
        }
        written = text
        for name in re.findall(r"^(\w+) = \[$", text, re.MULTILINE):
            written = tables.replace_rows(written, name, arrays[name])

        assert written == text


class TestDamagedTables:
    @pytest.mark.parametrize("key", ["image", "digest", "kind", "distro", "seen", "verified"])
    def test_incomplete_row_is_refused(self, key: str) -> None:
        with pytest.raises(EnvgenError, match=rf"missing required field `{key}`"):
            parse(table(**{key: None}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"digest": "sha256:abc"},
            {"digest": ROW.digest + "\n"},
            {"kind": "amd64"},
            {"seen": "1"},
            {"seen": -1},
            {"date": "August"},
            {"python": "3"},
            {"source": ""},
            {"platform": "linux/amd64"},
        ],
    )
    def test_mistyped_row_is_refused_with_file_and_row(self, changes: dict[str, Any]) -> None:
        with pytest.raises(EnvgenError) as caught:
            parse(table(**changes))

        assert caught.value.problems[0].file == "bases.toml"
        assert caught.value.problems[0].key == f"bases[0] ({ROW.image})"

    def test_image_that_is_there_twice_is_refused(self) -> None:
        rows = tables.format_rows([ROW, ROW])

        with pytest.raises(EnvgenError, match="there twice"):
            parse(f"bases = [\n{rows}]\n")

    @pytest.mark.parametrize("text", ["bases = [", "", "other = []", "bases = [1]"])
    def test_what_is_no_table_is_refused(self, text: str) -> None:
        with pytest.raises(EnvgenError):
            parse(text)


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), min_size=1)


@given(_texts, st.integers(0), st.booleans())
def test_written_rows_are_read_back(source: str, seen: int, verified: bool) -> None:  # noqa: FBT001
    row = msgspec.structs.replace(ROW, source=source, seen=seen % 2**63, verified=verified)

    assert parse(f"bases = [\n{tables.format_rows([row])}]\n") == (row,)


def test_replacing_rows_keeps_the_rest() -> None:
    text = f"# why\n\n{table()}\ndistros = [\n]\n"
    other = msgspec.structs.replace(ROW, source="another")

    replaced = tables.replace_rows(text, "bases", [other])

    assert replaced == text.replace("a test", "another")


def test_replacing_rows_of_an_array_that_is_not_there_fails() -> None:
    with pytest.raises(EnvgenError, match="no such array"):
        tables.replace_rows(table(), "tools", list[ToolArtifact]())
