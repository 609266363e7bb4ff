"""What has a known vulnerability is named with its fix; what was not looked at is never clean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import MINIMAL, go_offline

from envgen.audit.advisory import read_advisories
from envgen.audit.image import public_key
from envgen.lock.packages import Artifact, LockedPackage

if TYPE_CHECKING:
    from tests.conftest import Project
    from tests.unit.audit.conftest import Osv


def document(identity: str, *fixed: str, **more: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, *({"fixed": version} for version in fixed)]
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Jinja2"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return {"id": identity, "affected": [affected], **more}


def read(*documents: dict[str, Any]) -> tuple[Any, ...]:
    return read_advisories(documents, name="jinja2", version="3.0.0")


class TestAdvisories:
    def test_one_vulnerability_of_two_databases_is_told_once(self) -> None:
        (found,) = read(
            document("GHSA-a", aliases=["CVE-1"], database_specific={"severity": "HIGH"}),
            document("PYSEC-1", "3.1.0", aliases=["CVE-1"], summary="sandbox"),
        )

        assert found.id == "CVE-1"
        assert found.aliases == ("CVE-1", "GHSA-a", "PYSEC-1")
        assert (found.severity, found.fixed, found.summary) == ("high", "3.1.0", "sandbox")

    def test_names_meet_through_a_third_database(self) -> None:
        assert len(read(document("A", aliases=["X"]), document("B", aliases=["Y"]))) == 2
        linked = document("C", aliases=["X", "Y"])
        assert len(read(document("A", aliases=["X"]), document("B", aliases=["Y"]), linked)) == 1

    def test_the_fix_is_the_oldest_release_that_is_newer(self) -> None:
        (found,) = read(document("A", "2.11.3", "3.1.5", "3.1.4"))

        assert found.fixed == "3.1.4"

    def test_a_withdrawn_advisory_is_none(self) -> None:
        assert read(document("A", withdrawn="2026-01-01T00:00:00Z")) == ()

    def test_the_gravest_comes_first_and_what_nobody_rated_before_it(self) -> None:
        found = read(
            document("A", database_specific={"severity": "LOW"}),
            document("B", database_specific={"severity": "CRITICAL"}),
            document("C"),
            document("D", database_specific={"severity": "MEDIUM"}),
        )

        assert [each.severity for each in found] == ["unknown", "critical", "moderate", "low"]

    def test_another_packages_fix_is_none(self) -> None:
        other = document("A", "9.9")
        other["affected"][0]["package"]["name"] = "markupsafe"

        assert read(other)[0].fixed == ""


@pytest.mark.parametrize(
    ("package", "key"),
    [
        (LockedPackage(name="torch", version="2.9.1+cu128"), ("torch", "2.9.1")),
        (LockedPackage(name="odd", version="2024a_x"), None),
        (
            LockedPackage(
                name="numpy",
                version="2.1.0",
                conda="numpy",
                wheels=(Artifact(filename="numpy-2.1.0-py313h1_0.conda", url="", sha256="0" * 64),),
            ),
            ("numpy", "2.1.0"),
        ),
        (
            LockedPackage(
                name="openssl",
                version="3.4.0",
                conda="openssl",
                wheels=(Artifact(filename="openssl-3.4.0-h7b_1.conda", url="", sha256="0" * 64),),
            ),
            None,
        ),
    ],
)
def test_only_what_the_database_can_know_is_asked_for(
    package: LockedPackage, key: tuple[str, str] | None
) -> None:
    assert public_key(package) == key


class TestCommand:
    @pytest.fixture
    def locked(self, project: Project) -> Project:
        project.write("envgen.toml", f'{MINIMAL}dependencies = ["jinja2", "numpy"]\n')
        assert project.render_offline().code == 0
        return project

    def test_a_vulnerability_fails_and_names_its_fix(self, locked: Project, osv: Osv) -> None:
        osv.add("GHSA-1", "jinja2", "3.1.4", summary="escapes the sandbox")

        outcome = locked.run("audit")

        assert outcome.code == 10
        assert "serve: 1 vulnerable, 1 without known vulnerabilities, 0 not audited" in outcome.out
        assert "jinja2 1.0: GHSA-1 (unknown, fixed in 3.1.4) escapes the sandbox" in outcome.out
        assert "lock --upgrade jinja2" in outcome.err

    def test_every_page_of_an_answer_is_read(self, locked: Project, osv: Osv) -> None:
        for number in range(5):
            osv.add(f"GHSA-{number}", "jinja2")
        osv.page = 2

        outcome = locked.run("audit", "--json")

        assert outcome.code == 10
        assert len(outcome.json[0]["vulnerable"][0]["advisories"]) == 5

    @pytest.mark.parametrize(
        ("policy", "code"),
        [
            ('fail-on = "critical"', 0),
            ('fail-on = "high"', 10),
            ('fail-on = "none"', 0),
            ('ignore = { GHSA-1 = "not called" }', 0),
            ('ignore = { CVE-9 = "not called" }', 0),
        ],
    )
    def test_the_policy_decides(self, locked: Project, osv: Osv, policy: str, code: int) -> None:
        osv.add("GHSA-1", "jinja2", aliases=["CVE-9"], database_specific={"severity": "HIGH"})
        locked.write("envgen.toml", f"{locked.read('envgen.toml')}\n[policy]\n{policy}\n")

        assert locked.run("audit").code == code

    def test_no_answer_is_not_clean(self, locked: Project, osv: Osv) -> None:
        osv.status = 404

        outcome = locked.run("audit")

        assert outcome.code == 5
        assert "nothing was audited" in outcome.err
        assert "ENVGEN_OSV_URL" in outcome.err

    def test_security_moves_what_has_a_fix_and_nothing_else(
        self, locked: Project, osv: Osv, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        osv.add("GHSA-1", "jinja2", "2.0")
        osv.add("GHSA-2", "numpy")
        asked: list[tuple[Any, Any]] = []

        def lock(opened: object, names: object, **options: object) -> object:
            asked.append((names, options))
            return opened

        go_offline(monkeypatch, "2.0")
        monkeypatch.setattr("envgen.project.lock_project", lock)

        outcome = locked.run("lock", "--security")

        assert outcome.code == 0, outcome.err
        assert asked[0][0] == ("serve",)
        assert asked[0][1]["packages"] == ("jinja2",)
        assert not asked[0][1]["upgrade"]

    def test_security_and_upgrade_do_not_go_together(self, locked: Project) -> None:
        assert locked.run("lock", "--security", "--upgrade", "jinja2").code == 2

    @pytest.mark.parametrize("age", ["90", "0d", "d", "3 weeks", "90D"])
    def test_an_age_that_means_nothing_is_refused(self, locked: Project, age: str) -> None:
        locked.write("envgen.toml", f'{locked.read("envgen.toml")}\n[policy]\nmax-age = "{age}"\n')

        outcome = locked.run("audit")

        assert outcome.code == 3
        assert "policy.max-age" in outcome.err
