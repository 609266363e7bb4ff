"""Translations between PEP 440 and conda, held to packaging and py-rattler themselves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envgen.constraints import TranslationError
from envgen.constraints.conda import from_pep440, to_pep440
from envgen.lockers.tool_environment import ensure_tool

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]

Matches = Callable[[str, str], bool]

ORACLE = """\
import json, rattler, sys
for line in sys.stdin:
    spec, version = json.loads(line)
    record = rattler.PackageRecord("demo", version, rattler.BuildString("0"), 0, "noarch")
    try:
        print(json.dumps(rattler.MatchSpec("demo" + spec).matches(record)), flush=True)
    except Exception as error:
        print(json.dumps(str(error)), flush=True)
"""


@pytest.fixture(scope="module")
def matches() -> Iterator[Matches]:
    """Return py-rattler's answer to whether a MatchSpec of a package takes a version."""
    with subprocess.Popen(
        [ensure_tool("conda-lock") / "python", "-I", "-c", ORACLE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        given_to, answers = program.stdin, program.stdout
        assert given_to
        assert answers

        def ask(spec: str, version: str) -> bool:
            given_to.write(json.dumps([spec, version]) + "\n")
            given_to.flush()
            answer = json.loads(answers.readline())
            assert isinstance(answer, bool), f"{spec}: {answer}"
            return answer

        yield ask
        program.kill()


_NUMBERS = st.sampled_from(["0", "0", "1", "2", "3", "10"])
_EPOCHS = st.sampled_from(["", "", "", "1!"])
_SUFFIXES = ["", "", "", "", "a1", "rc1", "b2", ".post1", ".dev1", "rc1.dev2", ".post2.dev1"]


@st.composite
def _cases(draw: st.DrawFn, operators: tuple[str, ...]) -> tuple[str, str]:
    """Return a constraint and a version.

    What is no final release has as many numbers as the constraint's: see constraints/conda.py.
    """
    length = draw(st.integers(1, 4))
    releases = st.lists(_NUMBERS, min_size=length, max_size=length).map(".".join)
    versions = st.builds("{}{}{}".format, _EPOCHS, releases, st.sampled_from(_SUFFIXES))
    final = st.builds(
        "{}{}".format, _EPOCHS, st.lists(_NUMBERS, min_size=1, max_size=5).map(".".join)
    )
    clauses = st.one_of(
        st.builds("{}{}".format, st.sampled_from(operators), versions),
        st.builds("{}{}.*".format, st.sampled_from(operators), releases),
        st.builds("<{}{}".format, releases, st.sampled_from(["a0", ".dev0", "dev0"])),
    )
    constraint = ",".join(draw(st.lists(clauses, min_size=1, max_size=3)))
    return constraint, str(Version(draw(st.one_of(versions, final))))


@given(case=_cases(("==", "!=", ">=", "<=", ">", "<", "~=", "===")))
@example(case=("<3.0.0", "3.0rc1"))
@example(case=("~=1.4.2", "1.5.0.dev1"))
@example(case=("!=1.*,==3.*", "3.2"))
def test_conda_admits_what_the_specifier_admits(matches: Matches, case: tuple[str, str]) -> None:
    specifier, version = case
    try:
        wanted = SpecifierSet(specifier).contains(version, prereleases=True)
        constraint = from_pep440(specifier)
    except (InvalidSpecifier, TranslationError):
        reject()
    assert matches(f" {constraint}", version) == wanted


@given(
    case=_cases(("=", "==", "!=", ">=", "<=", ">", "<", "~=", "")),
    space=st.sampled_from(["", " "]),
)
@example(case=("<2.0a0", "2.0rc1"), space=" ")
@example(case=("=3", "3.0.10"), space=" ")
@example(case=("==1,<3.*", "3.0"), space="")
def test_specifier_never_admits_more_than_conda_and_the_same_final_versions(
    matches: Matches, case: tuple[str, str], space: str
) -> None:
    constraint, version = case
    # Without an operator the version is a word of its own.
    constraint = (" " if constraint[0].isdigit() else space) + constraint
    try:
        specifier = to_pep440(constraint).specifier
    except TranslationError:
        reject()
    parsed = Version(version)
    if parsed.is_devrelease:
        reject()
    ours = SpecifierSet(specifier).contains(parsed, prereleases=True)
    theirs = matches(constraint, version)
    if parsed.is_prerelease or parsed.is_postrelease:
        assert theirs or not ours
    else:
        assert theirs == ours
