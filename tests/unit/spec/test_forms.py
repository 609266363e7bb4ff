"""What texts of a spec have to look like."""

import re

import pytest

from envgen.resources import TEMPLATES
from envgen.spec import forms
from envgen.spec.forms import FORMS

GOOD = {
    "text": ["", "a b", "$HOME `x` \"'\\ # !", "ü 漢 🙂", "a" * 5000],
    "image-name": ["serve", "train-gpu", "a", "a" * 63],
    "project-name": ["demo", "De.mo_1-x"],
    "python-version": ["3.9", "3.13"],
    "requirement": [
        "numpy",
        "numpy>=1",
        "numpy >=1,<2",
        "uvicorn[standard]",
        "Pillow==10.*",
        "torch~=2.9.0",
        'numpy; python_version < "3.13"',
    ],
    "package-name": ["numpy", "ruamel.yaml"],
    "base": [
        "auto",
        "slim",
        "cuda-base",
        "cuda-cudnn-runtime",
        "ubuntu",
        "docker.io/library/python:3.13",
        "r.example:5000/a/b:c",
    ],
    "copy-path": ["app/", "app", "a b/c", "src/ü.py", "#x", "!x", "c++/(1)", ".envrc", "my.git"],
    "image-path": ["/app", "/srv/my.app", "/a/.b"],
    "file-path": ["certs/corp.pem", "/etc/ssl/ca.pem"],
    "variable-name": ["A", "_a1", "OMP_NUM_THREADS"],
    "index-url": ["https://packages.example/simple", "http://10.0.0.1:8080/a/b/"],
    "registry-host": ["docker.io", "127.0.0.1:5000", "mirror.example/proxy/hub"],
    "moment": ["2026-11-01T00:00:00Z"],
    "preset": ["sklearn-serve"],
}
BAD = {
    "text": ["a\nb", "a\rb", "\x00", "\x1b[0m", "\x7f", "a\u2028b", "a\u0085b", "\t"],
    "image-name": ["", "Serve", "a_b", "a--b", "-a", "a-", "a" * 64, "a\n", "ü"],
    "project-name": ["", "my project", "-x", "x-", "prüfung", "a\n"],
    "python-version": ["3", "3.13.1", ">=3.12", "python3.13", "2.7", "3.01", "3.1٣", "3.13\n", ""],
    "requirement": [
        "",
        "no good",
        "numpy>=",
        "a\nb",
        "x @ https://example.org/x.whl",
        "git+https://example.org/x",
        "-r requirements.txt",
        "--index-url=x",
    ],
    "package-name": ["", "a b", "numpy>=1", "a[b]"],
    "base": ["", "cuda-devel", "r.example/UPPER", "https://r.example/x", "a b", "a\nb", "x:"],
    "copy-path": [
        "",
        ".",
        "./",
        "..",
        "../x",
        "a/../b",
        "./a",
        "/etc",
        "~/x",
        "C:/x",
        "C:\\x",
        " a",
        "a ",
        "a\u00a0",
        "*.py",
        "a?",
        "[a]",
        "$HOME",
        "a\\b",
        "it's",
        'say"',
        "<<EOF",
        "a\nb",
        ".env",
        "conf/.env",
        ".git/config",
        "app/__pycache__",
        "app/x.pyc",
    ],
    "image-path": [
        "",
        "/",
        "app",
        "/a/../b",
        "/..",
        "/.",
        "/a b",
        "/a/",
        "//a",
        "/$x",
        "/a\n",
        "/ü",
    ],
    "file-path": ["", "a\nb"],
    "variable-name": ["", "1A", "A-B", "A B", "A=1", "Ü", "A\n"],
    "index-url": [
        "",
        "packages.example",
        "ftp://packages.example",
        "https://packages.example/a b",
        "https://packages.example/$x",
        "https://packages.example/\nx",
    ],
    "registry-host": ["", "https://r.example", "a b", "--platform", "-x", "r.example/", "a:٣"],
    "moment": ["2026-11-01", "2026-11-01T00:00:00", "2026-13-01T00:00:00Z", "٢026-11-01T00:00:00Z"],
    "preset": ["", "Sklearn", "../x"],
}


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(form, text) for form, texts in table.items() for text in texts]


@pytest.mark.parametrize(("form", "text"), cases(GOOD))
def test_good_text_passes(form: str, text: str) -> None:
    assert FORMS[form](text) is None


@pytest.mark.parametrize(("form", "text"), cases(BAD))
def test_bad_text_is_refused_with_a_way_out(form: str, text: str) -> None:
    fault = FORMS[form](text)

    assert fault is not None
    assert fault.what
    assert fault.why or fault.fix


@pytest.mark.parametrize(("form", "text"), cases(BAD))
def test_message_stays_on_its_line(form: str, text: str) -> None:
    fault = FORMS[form](text)

    assert fault is not None
    assert fault.what.isprintable()


def test_patch_level_is_answered_with_the_minor_version() -> None:
    fault = forms.check_python_version("3.12.4")

    assert fault is not None
    assert fault.fix == 'write "3.12"'


def test_name_of_a_project_is_answered_with_one_that_would_do() -> None:
    fault = forms.check_project_name("Größe & Gewicht!")

    assert fault is not None
    assert forms.check_project_name(fault.fix.removeprefix("as ").strip("'")) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@packages.example/simple",
        "https://hunter2@packages.example/simple",
        "https://user:hun/ter2@packages.example/simple",
        "https://packages.example/simple?token=hunter2",
        "https://user:hunter2#@packages.example/",
    ],
)
def test_login_in_an_address_is_refused_without_repeating_it(url: str) -> None:
    fault = forms.check_index_url(url)

    assert fault is not None
    assert "ENVGEN_INDEX_PASSWORD" in fault.fix
    assert "ter2" not in "".join(fault)


def test_login_in_a_mirror_is_refused_without_repeating_it() -> None:
    fault = forms.check_registry_host("user:hunter2@mirror.example")

    assert fault is not None
    assert "docker login" in fault.why
    assert "hunter2" not in "".join(fault)


@pytest.mark.parametrize("epoch", sorted(path.name for path in TEMPLATES.iterdir()))
def test_everything_that_ignore_files_keep_out_is_refused_as_a_copy(epoch: str) -> None:
    text = (TEMPLATES / epoch / "Dockerfile.dockerignore.j2").read_text(encoding="utf-8")
    hidden = re.findall(r"^\*\*/(.+)$", text, re.MULTILINE)

    assert hidden
    for pattern in hidden:
        assert forms.check_copy_path(f"app/{pattern.replace('*', 'x')}") is not None


@pytest.mark.parametrize(
    "text", ["git", "g++", "libstdc++6", "libgl1", "git=1:2.47.3-0+deb13u1", "a0=0~rc1"]
)
def test_names_of_os_packages_pass(text: str) -> None:
    assert forms.check_os_package(text) is None


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("git curl", 'write "git", "curl"'),
        ("libc6:amd64", 'write "libc6"'),
        ("git/trixie-backports", 'write "git"'),
        ("git>=2", 'write "git", or "git=VERSION"'),
        ("git==2", 'write "git", or "git=VERSION"'),
        ("Git", 'write "git"'),
        ("--yes", 'as "git"'),
        ("git-", 'as "git"'),
        ("git;id", 'as "git"'),
        ("git=$(id)", 'as "git"'),
        ("", 'as "git"'),
    ],
)
def test_what_is_no_os_package_says_what_would_be(text: str, fix: str) -> None:
    fault = forms.check_os_package(text)

    assert fault is not None
    assert fault.fix.startswith(fix)


def test_archives_are_those_of_the_table_and_carry_no_login() -> None:
    assert forms.check_os_archive("debian") is None
    fault = forms.check_os_archive("debain")
    assert fault is not None
    assert fault.fix == "did you mean 'debian'?"
    assert forms.check_os_archive_url("https://mirror.example/debian/{moment}") is None
    assert forms.check_os_archive_url("https://me:pass@mirror.example/debian") is not None
    assert forms.check_os_archive_url("ftp://mirror.example/debian") is not None
