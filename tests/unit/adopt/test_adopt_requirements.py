"""requirements.txt: what pip reads is carried over or listed, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.adopt.found import Found
from envgen.adopt.requirements import join_lines
from envgen.adopt.sources import read_source
from envgen.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str | bytes, **others: str) -> Found:
    path = folder / "requirements.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    for name, content in others.items():
        (folder / f"{name}.txt").write_text(content, encoding="utf-8")
    return read_source(path)


def left(found: Found) -> list[str]:
    return [entry.what for entry in found.left]


def test_requirements_are_carried_over_as_they_are_written(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        'torch>=2.1,<3  # the framework\n\nuvicorn[standard] == 0.30.*; python_version > "3.9"\n',
    )
    assert found.dependencies == (
        "torch>=2.1,<3",
        'uvicorn[standard] == 0.30.*; python_version > "3.9"',
    )
    assert found.left == ()


def test_lines_are_joined_and_comments_dropped() -> None:
    text = "a==1 \\\n  --hash=sha256:x\n# b \\\nc#not-a-comment\nd # a comment"
    assert [line for _, line in join_lines(text)] == [
        "a==1   --hash=sha256:x",
        "c#not-a-comment",
        "d",
    ]


def test_hashes_are_told_once(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "numpy==2.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nrich==13 --hash=sha256:cc\n",
    )
    assert found.dependencies == ("numpy==2.0", "rich==13")
    assert left(found) == ["hashes of files"]


def test_nested_files_and_constraints_are_followed(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "-r base.txt\n--constraint=limits.txt\nflask\n",
        base="numpy\n",
        limits="numpy<2\nwerkzeug<3\n",
    )
    assert found.dependencies == ("numpy", "flask", "numpy<2")
    assert found.sources == ("requirements.txt", "base.txt", "limits.txt")
    assert left(found) == ["constraints: werkzeug<3"]


def test_files_that_name_each_other_end(tmp_path: Path) -> None:
    found = read(tmp_path, "-r base.txt\n", base="-r requirements.txt\nnumpy\n")
    assert found.dependencies == ("numpy",)
    assert [(entry.what, entry.where) for entry in found.left] == [
        ("requirements.txt", "base.txt:1")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--editable=git+https://git.example/x.git#egg=x",
        "git+https://git.example/peft.git",
        "peft @ git+https://git.example/peft.git@main",
        "https://files.example/x-1.0-py3-none-any.whl",
        "numpy @ file:///croot/numpy/work",
        "./wheels/x-1.0-py3-none-any.whl",
        "x-1.0-py3-none-any.whl",
        "..\\here",
        ".",
        "-f https://files.example/wheels.html",
        "--find-links wheels",
        "--extra-index-url https://download.pytorch.org/whl/cu118",
        "--no-binary :all:",
        "--only-binary=:all:",
        "--pre",
        "--trusted-host files.example",
        "-r missing.txt",
        "-r https://files.example/requirements.txt",
        "--unheard-of 3",
        "numpy==${VERSION}",
        "==1.0",
        "pip>=23",
    ],
)
def test_what_has_no_place_in_a_spec_is_listed_with_line_and_reason(
    tmp_path: Path, line: str
) -> None:
    found = read(tmp_path, f"rich\n{line}\n")
    assert found.dependencies == ("rich",)
    (entry,) = found.left
    assert entry.where == "requirements.txt:2"
    assert entry.why


def test_the_index_is_carried_over(tmp_path: Path) -> None:
    found = read(tmp_path, "-i https://packages.example/simple/\nrich\n")
    assert found.index == "https://packages.example/simple"


def test_an_index_with_a_login_is_listed_without_it(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "-i https://me:secret@packages.example/simple\n"
        "--extra-index-url https://me:secret@packages.example/other\n"
        "--find-links https://me:secret@packages.example/links\n"
        "x @ https://me:secret@packages.example/x.whl\n",
    )
    assert found.index == ""
    assert len(found.left) == 4
    assert "secret" not in repr(found)


def test_a_build_of_another_index_is_carried_over_without_it(tmp_path: Path) -> None:
    found = read(tmp_path, "torch==2.1.0+cu118\njaxlib==0.4.11+cuda11.cudnn86\n")
    assert found.dependencies == ("torch==2.1.0", "jaxlib==0.4.11")
    assert left(found) == [
        "the build +cu118 of torch 2.1.0",
        "the build +cuda11.cudnn86 of jaxlib 0.4.11",
    ]


def test_options_of_one_requirement_do_not_spoil_it(tmp_path: Path) -> None:
    found = read(tmp_path, "torch==2.0.1 --index-url https://download.pytorch.org/whl/cu118\n")
    assert found.dependencies == ("torch==2.0.1",)
    assert left(found) == ["the index https://download.pytorch.org/whl/cu118"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "numpy\r\nrich\r\n".encode(encoding)).dependencies == ("numpy", "rich")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not text"):
        read(tmp_path, b"\x80\x81")


def test_python_comes_from_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.12.4\n", encoding="utf-8")
    found = read(tmp_path, "numpy\n")
    assert found.python == "3.12"
    assert ".python-version" in found.sources


_LINE = st.one_of(
    st.sampled_from(["numpy", "torch>=2", "-e .", "--pre", "x @ https://a.example/x.whl", "a b"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
)


@given(st.lists(_LINE, max_size=6))
def test_no_line_is_dropped_in_silence(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    text = "\n".join(lines)
    found = read(tmp_path_factory.mktemp("project"), text)
    told = {entry.where for entry in found.left}
    carried = set(found.dependencies)
    for number, line in join_lines(text):
        assert (
            " ".join(line.split()) in carried
            or f"requirements.txt:{number}" in told
            or found.index
            or _only_repeats(found, line)
        )


def _only_repeats(found: Found, line: str) -> bool:
    """Return whether a line was carried without its own options, which are listed then."""
    return bool(found.left) and line.split(" -", 1)[0].strip() in found.dependencies
