"""Which file is the spec, and what a file that is none gets."""

from pathlib import Path

import pytest

from envgen.errors import EnvgenError, SpecError, StorageError, UsageError
from envgen.spec.load import load_spec

ENVGEN = """\
format = 1
epoch = "2026.11"
[project]
name = "demo"
python = "3.13"
[images.serve]
"""
PYPROJECT = """\
[project]
name = "demo"
requires-python = ">=3.12,<3.14"
[tool.envgen]
format = 1
epoch = "2026.11"
[tool.envgen.images.serve]
"""


def write(folder: Path, file: str, content: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def fail(folder: Path) -> EnvgenError:
    with pytest.raises(EnvgenError) as caught:
        load_spec(folder)
    return caught.value


@pytest.mark.parametrize("name", ["plain", "two words", "Größe-漢字-🙂", "quo'te\"s", "$HOME #x"])
def test_spec_is_found_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / name, "envgen.toml", ENVGEN)

    assert load_spec(folder).root == folder


def test_spec_is_found_from_a_folder_below(tmp_path: Path) -> None:
    write(tmp_path, "envgen.toml", ENVGEN)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert load_spec(below).root == tmp_path


def test_nearest_spec_wins(tmp_path: Path) -> None:
    write(tmp_path, "envgen.toml", ENVGEN)
    near = write(tmp_path / "near", "envgen.toml", ENVGEN.replace("demo", "near"))

    assert load_spec(near).spec.project.name == "near"


def test_envgen_toml_wins_over_a_pyproject_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "envgen.toml", ENVGEN.replace("demo", "own"))
    write(tmp_path, "pyproject.toml", PYPROJECT)

    assert load_spec(tmp_path).file == "envgen.toml"


@pytest.mark.parametrize(
    "theirs",
    [
        "[project]\nname = 'other'\n",
        "[project]\nname = 'other'\ndependencies = ['envgen']\n",
        "# see [tool.envgen]\n[tool.envgenius]\nx = 1\n",
        "tool = 'envgen'\n",
        "[tool.envgen-plugin]\n",
        "not TOML at all",
    ],
)
def test_pyproject_of_somebody_else_is_passed_over(tmp_path: Path, theirs: str) -> None:
    write(tmp_path, "envgen.toml", ENVGEN)
    below = write(tmp_path / "package", "pyproject.toml", theirs)

    assert load_spec(below).file == "envgen.toml"


@pytest.mark.parametrize(
    "header", ["[tool.envgen]", "[ tool . envgen ]", '["tool"."envgen"]', "[tool.'envgen']"]
)
def test_table_is_recognised_however_it_is_written(tmp_path: Path, header: str) -> None:
    write(tmp_path, "pyproject.toml", PYPROJECT.replace("[tool.envgen]", header))

    assert load_spec(tmp_path).file == "pyproject.toml"


def test_no_spec_names_both_files_and_the_way_out(tmp_path: Path) -> None:
    (problem,) = fail(tmp_path).problems

    assert "there is no envgen.toml" in problem.what
    assert "[tool.envgen]" in problem.why
    assert "--directory" in problem.fix


def test_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    write(tmp_path, "envgen.toml", ENVGEN)

    error = fail(tmp_path / "typo")

    assert isinstance(error, UsageError)
    assert "typo" in str(error)


@pytest.mark.parametrize(
    ("content", "what", "why"),
    [
        (b"format = \n", "is not valid TOML", "line 1"),
        (b"[project]\nname = 'x'\n[project]\n", "is not valid TOML", "line 3"),
        (b"x = 1\nx = 2\n", "is not valid TOML", "line 2"),
        (b"name = 'gr\xf6sse'\n", "is not UTF-8 (byte 10)", "UTF-8"),
        ("format = 1\n".encode("utf-16"), "is not UTF-8 (byte 0)", "UTF-8"),
        (b"x = " + b"9" * 5000, "is not valid TOML", "digits"),
        (b"x = " + b"[" * 5000, "is not valid TOML", ""),
        (b"\x00", "is not valid TOML", "line 1"),
        (b"<<<<<<< HEAD\nformat = 1\n", "is not valid TOML", "line 1"),
    ],
)
def test_file_that_is_no_toml_is_told(tmp_path: Path, content: bytes, what: str, why: str) -> None:
    error = fail(write(tmp_path, "envgen.toml", content))

    assert isinstance(error, SpecError)
    (problem,) = error.problems
    assert problem.file == "envgen.toml"
    assert problem.what == what
    assert why in problem.why


def test_pyproject_of_ours_that_is_no_toml_is_told(tmp_path: Path) -> None:
    (problem,) = fail(write(tmp_path, "pyproject.toml", f"{PYPROJECT}x = ")).problems

    assert problem.file == "pyproject.toml"
    assert problem.what == "is not valid TOML"


def test_empty_file_misses_everything(tmp_path: Path) -> None:
    keys = [problem.key for problem in fail(write(tmp_path, "envgen.toml", "")).problems]

    assert keys == ["format", "epoch", "project", "images"]


def test_byte_order_mark_of_an_editor_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path, "envgen.toml", b"\xef\xbb\xbf" + ENVGEN.encode())

    assert load_spec(tmp_path).spec.project.name == "demo"


def test_windows_line_endings_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, "envgen.toml", ENVGEN.replace("\n", "\r\n"))

    assert load_spec(tmp_path).spec.project.name == "demo"


def test_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    write(tmp_path, "envgen.toml", ENVGEN)
    monkeypatch.setattr(Path, "read_bytes", refuse)

    error = fail(tmp_path)

    assert isinstance(error, StorageError)
    assert error.problems[0].why == "Permission denied"


@pytest.mark.parametrize("key", ["groups", "extras"])
def test_groups_belong_into_a_pyproject(tmp_path: Path, key: str) -> None:
    write(tmp_path, "envgen.toml", f"{ENVGEN}{key} = ['x']\nport = 0\n")

    told, other = fail(tmp_path).problems

    assert told.key == f"images.serve.{key}"
    assert "pyproject.toml" in told.why
    assert other.key == "images.serve.port"


class TestPreset:
    def test_what_the_spec_writes_wins(self, tmp_path: Path) -> None:
        write(tmp_path, "envgen.toml", f"{ENVGEN}preset = 'sklearn-serve'\nport = 1234\n")

        image = load_spec(tmp_path).spec.images["serve"]

        assert image.port == 1234
        assert image.copy_ == ("app/",)

    def test_dependencies_are_added_up_with_the_specs_own_first(self, tmp_path: Path) -> None:
        toml = f"{ENVGEN}preset = 'sklearn-serve'\ndependencies = ['joblib']\n"
        write(tmp_path, "envgen.toml", toml)

        dependencies = load_spec(tmp_path).spec.images["serve"].dependencies

        assert dependencies[0] == "joblib"
        assert any(name.startswith("scikit-learn") for name in dependencies)

    def test_tables_are_merged_key_by_key(self, tmp_path: Path) -> None:
        toml = f"{ENVGEN}preset = 'vllm-serve'\ngpu.targets = ['H100']\nenv.HF_HUB_OFFLINE = '1'\n"
        write(tmp_path, "envgen.toml", toml)

        image = load_spec(tmp_path).spec.images["serve"]

        assert image.gpu is not None
        assert image.gpu.required
        assert image.gpu.targets == ("H100",)
        assert set(image.env) == {"HF_HOME", "HF_HUB_OFFLINE"}

    def test_faulty_dependency_is_counted_as_in_the_file(self, tmp_path: Path) -> None:
        toml = f"{ENVGEN}preset = 'sklearn-serve'\ndependencies = ['joblib', 'no good']\n"
        write(tmp_path, "envgen.toml", toml)

        (problem,) = fail(tmp_path).problems

        assert problem.key == "images.serve.dependencies[1]"

    @pytest.mark.parametrize("written", ["preset = 1", "preset = 'sklearn-serve'\ndependencies=1"])
    def test_wrong_types_beside_it_are_told(self, tmp_path: Path, written: str) -> None:
        write(tmp_path, "envgen.toml", f"{ENVGEN}{written}\n")

        assert "the number 1" in fail(tmp_path).problems[0].what
