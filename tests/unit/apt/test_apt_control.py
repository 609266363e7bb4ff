"""Control files as archives and dpkg write them."""

from __future__ import annotations

import pytest

from envgen.apt.control import Relation, make_package, parse_paragraph, split_paragraphs

GIT = """\
Package: git
Architecture: amd64
Version: 1:2.47.3-0+deb13u1
Pre-Depends: dpkg (>= 1.19)
Depends: libc6 (>= 2.38), libcurl3t64-gnutls | libcurl, perl:any, git-man (>> 1:2.47.3),
 zlib1g:i386
Breaks: git-el (<< 1:2.32.0~rc2-1~)
Conflicts: old-git
Provides: git-completion, git-core (= 1:2.47.3)
Installed-Size: 49112
Filename: ./pool/main/g/git/git.deb
Size: 8862132
SHA256: aa
Description: fast version control
 with a second line: and a colon
"""


def test_package_has_what_the_resolver_needs() -> None:
    package = make_package(parse_paragraph(GIT), "amd64")

    assert [" | ".join(map(str, clause)) for clause in package.depends] == [
        "dpkg (>= 1.19)",
        "libc6 (>= 2.38)",
        "libcurl3t64-gnutls | libcurl",
        "perl",
        "git-man (>> 1:2.47.3)",
        "zlib1g:i386",
    ]
    assert [str(relation) for relation in package.conflicts] == [
        "old-git",
        "git-el (<< 1:2.32.0~rc2-1~)",
    ]
    assert (package.path, package.installed_bytes) == ("pool/main/g/git/git.deb", 50290688)


@pytest.mark.parametrize(
    ("relation", "met"),
    [
        (Relation("git"), True),
        (Relation("git", ">=", "1:2.47"), True),
        (Relation("git", "<<", "1:2.47"), False),
        (Relation("git-completion"), True),
        (Relation("git-completion", ">=", "1"), False),
        (Relation("git-core", ">=", "1:2"), True),
        (Relation("gi"), False),
    ],
)
def test_package_meets_its_name_and_what_it_provides(relation: Relation, *, met: bool) -> None:
    assert make_package(parse_paragraph(GIT), "amd64").meets(relation) == met


def test_paragraphs_end_at_empty_lines_however_many() -> None:
    assert list(split_paragraphs("A: 1\n\n\nB: 2\n\n")) == ["A: 1", "B: 2"]


def test_relation_of_no_known_form_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a relation"):
        make_package(
            {"package": "a", "version": "1", "architecture": "all", "depends": "b (~ 1)"}, "amd64"
        )
