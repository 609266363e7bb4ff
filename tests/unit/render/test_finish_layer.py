"""The script that finishes a layer: the same bytes in any order, and nothing gone unasked."""

from __future__ import annotations

import importlib.util
import json
import marshal
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

from envgen.resources import FINISH_LAYER

EPOCH = 315532800
SITE = "opt/venv/lib/python3.13/site-packages"
SETS = """\
def first(mode):
    return mode in {"onesided", "onesided2X", "zebra"}
def second(mode):
    return mode in {"onesided", "onesided2X", "zebra"}
"""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("finish_layer", FINISH_LAYER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


finish = load()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    write(tmp_path, f"{SITE}/pkg/__init__.py", "value = 'a name'\n")
    write(tmp_path, f"{SITE}/pkg/tests/test_it.py", "assert True\n")
    write(tmp_path, f"{SITE}/pkg/template.py", "{% not python %}\n")
    write(
        tmp_path,
        f"{SITE}/pkg-1.dist-info/RECORD",
        "pkg/__init__.py,sha256=a,17\npkg/tests/test_it.py,sha256=b,12\n"
        'pkg/template.py,sha256=c,17\n"pkg/with,comma.py",sha256=d,1\npkg-1.dist-info/RECORD,,\n',
    )
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def test_every_file_and_folder_has_one_time(root: Path) -> None:
    finish.main([str(root)])

    assert {path.stat().st_mtime for path in (root, *root.rglob("*"))} == {EPOCH}


def test_bytecode_is_checked_by_content_and_knows_no_build_folder(root: Path) -> None:
    finish.main([str(root)])

    cached = Path(importlib.util.cache_from_source(str(root / SITE / "pkg/__init__.py")))
    content = cached.read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert content[4:8] == b"\x03\0\0\0"
    code = marshal.loads(content[16:])  # noqa: S302 - the script has just written it
    assert code.co_filename == f"/{SITE}/pkg/__init__.py"


def test_what_is_not_python_has_no_bytecode(root: Path) -> None:
    finish.main([str(root)])

    assert not any("template" in path for path in files(root) if path.endswith(".pyc"))


def test_finished_bytecode_is_the_one_python_reads(root: Path) -> None:
    finish.main([str(root)])
    spec = importlib.util.spec_from_file_location("pkg", root / SITE / "pkg/__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.value == "a name"


def test_number_of_processes_changes_no_byte(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    for path, content in files(root).items():
        write(other, path, content.decode())
    finish.main([str(root)])
    monkeypatch.setattr(finish.os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    finish.main([str(other)])

    assert files(root) == files(other)


def test_order_of_compilation_changes_no_byte() -> None:
    """The state that a process is in after other files is what CPython's marshal depends on."""
    sources = [Path(json.__file__), *sorted(Path(json.__file__).parent.glob("*.py"))]
    sources += sorted(Path(random.__file__).parent.glob("[a-f]*.py"))[:40]
    texts = {str(path): path.read_bytes() for path in sources} | {"sets": SETS.encode()}
    first = {name: finish.compile_source(text, name) for name, text in texts.items()}
    again = {name: finish.compile_source(texts[name], name) for name in reversed(texts)}

    assert first == again


def test_names_that_live_elsewhere_change_no_byte() -> None:
    text = "def unheard_of_before(argument_too):\n    return argument_too, 'and_this_constant'\n"
    first = finish.compile_source(text.encode(), "x")
    kept = [sys.intern(name) for name in ("unheard_of_before", "argument_too", "and_this_constant")]
    again = finish.compile_source(text.encode(), "x")

    assert kept
    assert first == again


def test_nothing_is_left_out_unless_it_is_asked_for(root: Path) -> None:
    before = files(root)
    finish.main([str(root)])

    assert before.items() <= files(root).items()


def test_dropped_files_leave_no_folder_and_no_row(root: Path) -> None:
    finish.main([str(root), "--drop", "opt/venv/lib/python3.*/site-packages/*/tests/*"])

    assert not (root / SITE / "pkg/tests").exists()
    record = (root / SITE / "pkg-1.dist-info/RECORD").read_text(encoding="utf-8")
    assert "tests" not in record
    assert record.count("\n") == 4
    assert '"pkg/with,comma.py",sha256=d,1\n' in record


def test_files_that_packages_agree_on_are_no_conflict(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, f"{SITE}/same-1.dist-info/RECORD", "pkg/template.py,sha256=c,17\n")
    finish.main([str(root)])

    assert capsys.readouterr().err == ""
