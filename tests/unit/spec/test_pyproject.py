"""What a pyproject.toml contributes, and where its faults are said to be."""

from pathlib import Path

import pytest

from envgen.errors import Problem, SpecError
from envgen.spec.load import load_spec
from envgen.spec.model import Spec
from envgen.tables import bases

TEMPLATE = """\
[project]
name = "demo"
{project}
[dependency-groups]
{groups}
[tool.envgen]
format = 1
epoch = "2026.11"
{envgen}
[tool.envgen.images.serve]
{image}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str = "", **parts: str) -> Spec:
    filled = dict.fromkeys(("project", "groups", "envgen", "image"), "") | parts
    toml = text or TEMPLATE.format(**filled)
    Path("pyproject.toml").write_text(toml, encoding="utf-8")
    return load_spec(Path.cwd()).spec


def problems(text: str = "", **parts: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        load(text, **parts)
    assert {problem.file for problem in caught.value.problems} == {"pyproject.toml"}
    return caught.value.problems


def problem(text: str = "", **parts: str) -> Problem:
    (found,) = problems(text, **parts)
    return found


def test_name_and_dependencies_come_from_the_project() -> None:
    spec = load(project="dependencies = ['numpy', 'scipy>=1']")

    assert spec.project.name == "demo"
    assert spec.project.dependencies == ("numpy", "scipy>=1")


def test_own_table_wins_over_the_project() -> None:
    spec = load(
        project="dependencies = ['numpy']",
        envgen="project = { name = 'other', python = '3.11', dependencies = ['torch'] }",
    )

    assert spec.project.name == "other"
    assert spec.project.python == "3.11"
    assert spec.project.dependencies == ("torch",)


class TestPython:
    @pytest.mark.parametrize(
        ("admitted", "chosen"),
        [
            (">=3.11,<3.13", "3.12"),
            (">=3.12.3,<3.13", "3.12"),
            ("==3.12.*", "3.12"),
            ("==3.12.4", "3.12"),
            ("~=3.11.2", "3.11"),
            (">=3.11.3,<3.11.9", "3.11"),
            ("!=3.14.*,!=3.13.*", "3.12"),
        ],
    )
    def test_newest_that_is_admitted_is_chosen(self, admitted: str, chosen: str) -> None:
        assert load(project=f"requires-python = '{admitted}'").project.python == chosen

    @pytest.mark.parametrize("line", ["", "requires-python = '>=3.8'", "requires-python = ''"])
    def test_several_give_the_newest_known(self, line: str) -> None:
        known = {base.python for base in bases() if base.python}
        newest = max(known, key=lambda text: int(text.partition(".")[2]))

        assert load(project=line).project.python == newest

    @pytest.mark.parametrize("admitted", [">=3.99", "<3", "==2.7.*"])
    def test_none_is_told_with_those_that_there_are(self, admitted: str) -> None:
        found = problem(project=f"requires-python = '{admitted}'")

        assert found.key == "project.requires-python"
        assert admitted in found.what
        assert "3.13" in found.fix

    @pytest.mark.parametrize("value", ["'three'", "3.12", "['>=3.12']", "{ x = 1 }"])
    def test_what_is_no_range_is_told(self, value: str) -> None:
        found = problem(project=f"requires-python = {value}")

        assert found.key == "project.requires-python"
        assert "is not a range" in found.what

    def test_own_choice_is_not_bound_by_known_bases(self) -> None:
        spec = load(
            project="requires-python = '<3.9'",
            envgen="project = { python = '3.8' }",
            image="base = 'registry.example/old:1'",
        )

        assert spec.project.python == "3.8"


class TestMissing:
    @pytest.mark.parametrize("project", ["", "[project]\n", "[project]\nversion = '1'\n"])
    def test_project_without_a_name_is_told(self, project: str) -> None:
        found = problem(f"{project}[tool.envgen]\nformat = 1\n")

        assert "no [project] with a name" in found.what
        assert "envgen.toml" in found.fix

    @pytest.mark.parametrize(
        ("toml", "key"),
        [
            ("project = 1", "project"),
            ("tool.envgen.project = 1", "tool.envgen.project"),
            ("tool.envgen.images = []", "tool.envgen.images"),
            ("dependency-groups = []", "dependency-groups"),
            ("project.optional-dependencies = 1", "project.optional-dependencies"),
        ],
    )
    def test_what_is_not_a_table_is_told(self, toml: str, key: str) -> None:
        head = "" if toml.startswith("project =") else "project.name = 'demo'\n"
        image = "" if "images" in toml else "tool.envgen.images.serve.port = 1\n"

        found = problem(f"{toml}\n{head}{image}tool.envgen.format = 1\n")

        assert found.key == key
        assert found.what == "is not a table"

    def test_own_table_that_is_none_is_told(self) -> None:
        assert problem("tool.envgen = 1\n").key == "tool.envgen"

    def test_images_are_required(self) -> None:
        toml = "[project]\nname = 'x'\n[tool.envgen]\nformat = 1\nepoch = '2026.11'\n"

        assert problem(toml).key == "tool.envgen.images"


class TestPlace:
    """A fault is told where its text stands, whichever table took it over."""

    def test_name_is_the_projects(self) -> None:
        toml = TEMPLATE.format(project="", groups="", envgen="", image="")

        assert problem(toml.replace("demo", "de mo")).key == "project.name"

    def test_dependency_is_the_projects(self) -> None:
        found = problem(project="dependencies = ['numpy', 'no good']")

        assert found.key == "project.dependencies[1]"

    @pytest.mark.parametrize("value", ["1", "'numpy'", "[1]"])
    def test_dependencies_of_a_wrong_type_are_the_projects(self, value: str) -> None:
        assert problem(project=f"dependencies = {value}").key.startswith("project.dependencies")

    def test_key_of_the_own_table_is_its_own(self) -> None:
        found = problem(envgen="project = { dependencies = ['no good'] }")

        assert found.key == "tool.envgen.project.dependencies[0]"

    def test_image_is_in_the_own_table(self) -> None:
        assert problem(image="port = 0").key == "tool.envgen.images.serve.port"

    def test_unknown_key_is_in_the_own_table(self) -> None:
        assert problem(envgen="formt = 1").key == "tool.envgen.formt"

    def test_own_dependency_keeps_its_place_beside_groups(self) -> None:
        found = problem(
            groups="dev = ['pytest']", image="groups = ['dev']\ndependencies = ['a', 'no good']"
        )

        assert found.key == "tool.envgen.images.serve.dependencies[1]"

    def test_all_of_the_file_are_told_at_once(self) -> None:
        found = problems(
            project="requires-python = 'x'\ndependencies = ['no good']",
            groups="dev = ['not good']",
            image="groups = ['dev', 'deu']\nport = 0",
        )

        assert {entry.key for entry in found} == {
            "project.requires-python",
            "project.dependencies[0]",
            "dependency-groups.dev[0]",
            "tool.envgen.images.serve.groups[1]",
            "tool.envgen.images.serve.port",
        }


class TestGroups:
    def test_image_adds_its_groups_after_its_own(self) -> None:
        spec = load(
            groups="a = ['numpy']\nb = ['scipy>=1,<2']",
            image="groups = ['b', 'a']\ndependencies = ['torch']",
        )

        assert spec.images["serve"].dependencies == ("torch", "scipy>=1,<2", "numpy")

    def test_included_groups_are_followed(self) -> None:
        spec = load(
            groups="base = ['numpy']\n"
            "mid = [{ include-group = 'base' }, 'scipy']\n"
            "top = ['torch', { include-group = 'mid' }]",
            image="groups = ['top']",
        )

        assert spec.images["serve"].dependencies == ("torch", "numpy", "scipy")

    def test_group_that_two_others_include_is_no_cycle(self) -> None:
        spec = load(
            groups="a = ['numpy']\nb = [{ include-group = 'a' }]\nc = [{ include-group = 'a' }]\n"
            "d = [{ include-group = 'b' }, { include-group = 'c' }]",
            image="groups = ['d']",
        )

        assert set(spec.images["serve"].dependencies) == {"numpy"}

    def test_names_are_compared_as_the_standard_says(self) -> None:
        spec = load(groups="Dev_Test = ['numpy']", image="groups = ['dev-test']")

        assert spec.images["serve"].dependencies == ("numpy",)

    def test_unknown_group_suggests_nearest(self) -> None:
        found = problem(groups="serving = ['numpy']", image="groups = ['servng']")

        assert found.key == "tool.envgen.images.serve.groups[0]"
        assert found.what == "there is no group 'servng'"
        assert found.fix == "did you mean 'serving'?"

    def test_unknown_included_group_is_told_where_it_is_included(self) -> None:
        found = problem(groups="dev = ['a', { include-group = 'tset' }]", image="groups = ['dev']")

        assert found.key == "dependency-groups.dev[1]"
        assert found.what == "there is no group 'tset'"

    @pytest.mark.parametrize(
        ("groups", "chain"),
        [
            ("a = [{ include-group = 'a' }]", "a -> a"),
            ("a = [{ include-group = 'b' }]\nb = [{ include-group = 'a' }]", "a -> b -> a"),
        ],
    )
    def test_cycle_is_shown(self, groups: str, chain: str) -> None:
        found = problem(groups=groups, image="groups = ['a']")

        assert chain in found.what
        assert found.key.startswith("dependency-groups.")

    @pytest.mark.parametrize(
        ("entry", "what"),
        [
            ("'no good'", "is not a PEP 508 requirement"),
            ("'x @ https://example.org/x.whl'", "is a direct reference"),
            ("1", "is not a requirement"),
            ("{ include = 'a' }", "is not a requirement"),
            ("{ include-group = 1 }", "is not a requirement"),
            ("{ include-group = 'a', extra = 1 }", "is not a requirement"),
        ],
    )
    def test_invalid_entry_is_told_in_its_group(self, entry: str, what: str) -> None:
        found = problem(groups=f"dev = ['numpy', {entry}]", image="groups = ['dev']")

        assert found.key == "dependency-groups.dev[1]"
        assert what in found.what

    @pytest.mark.parametrize("value", ["'numpy'", "1", "{ x = 1 }"])
    def test_group_that_is_no_list_is_told(self, value: str) -> None:
        found = problem(groups=f"dev = {value}", image="groups = ['dev']")

        assert (found.key, found.what) == ("dependency-groups.dev", "is not a list")

    def test_group_of_two_images_is_told_once(self) -> None:
        problem(
            groups="dev = ['no good']",
            image="groups = ['dev']\n[tool.envgen.images.train]\ngroups = ['dev']",
        )

    @pytest.mark.parametrize("key", ["groups", "extras"])
    @pytest.mark.parametrize("value", ["1", "'dev'", "[1]"])
    def test_list_of_names_of_a_wrong_type_is_told(self, key: str, value: str) -> None:
        found = problem(image=f"{key} = {value}")

        assert found.key.startswith(f"tool.envgen.images.serve.{key}")


class TestExtras:
    def test_image_adds_its_extras(self) -> None:
        spec = load(
            project="optional-dependencies = { cli = ['rich'], Web_UI = ['fastapi'] }",
            image="extras = ['web-ui', 'cli']",
        )

        assert spec.images["serve"].dependencies == ("fastapi", "rich")

    def test_unknown_extra_suggests_nearest(self) -> None:
        found = problem(
            project="optional-dependencies = { cli = ['rich'] }", image="extras = ['clii']"
        )

        assert found.key == "tool.envgen.images.serve.extras[0]"
        assert found.fix == "did you mean 'cli'?"

    def test_invalid_requirement_is_told_in_its_extra(self) -> None:
        found = problem(
            project="optional-dependencies = { cli = ['rich', 'no good'] }",
            image="extras = ['cli']",
        )

        assert found.key == "project.optional-dependencies.cli[1]"

    def test_project_itself_is_never_asked_of_the_index(self) -> None:
        found = problem(
            project="optional-dependencies = { cli = ['rich'], all = ['Demo[cli]'] }",
            image="extras = ['all']",
        )

        assert found.key == "project.optional-dependencies.all[0]"
        assert "`extras`" in found.fix


def test_dependencies_that_a_backend_computes_are_refused() -> None:
    found = problem(project="dynamic = ['version', 'dependencies']")

    assert found.key == "project.dynamic"


def test_computed_dependencies_do_not_matter_beside_own_ones() -> None:
    spec = load(
        project="dynamic = ['dependencies']", envgen="project = { dependencies = ['numpy'] }"
    )

    assert spec.project.dependencies == ("numpy",)
