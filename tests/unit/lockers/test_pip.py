from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from envgen.errors import LockError
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lockers import pip, pip_program
from envgen.lockers.indexes import PackageIndex
from envgen.lockers.pip_requirements import Pin, merge_platforms, read_pins, render_pins
from envgen.rendered import is_untouched

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lockers import LockRequest

    MakeRequest = Callable[..., LockRequest]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pin(name: str, version: str, *files: str, marker: str = "") -> Pin:
    hashes = frozenset(map(sha256, files or (name + version,)))
    return Pin(name=name, version=version, marker=marker, hashes=hashes)


def test_input_holds_everything_that_the_lock_depends_on(make_request: MakeRequest) -> None:
    request = make_request(
        "uvicorn[standard]>=0.30",
        "idna ; python_version < '4'",
        platforms=("linux/amd64", "linux/arm64"),
        index="https://packages.example/simple",
        exclude_newer="2026-01-01T00:00:00Z",
    )

    (file,) = pip.render_inputs(request)

    assert file.path == "environments/serve/requirements.in"
    assert is_untouched(file.content)
    assert file.content.decode().splitlines()[2:] == [
        "# For CPython 3.13 on linux/amd64, linux/arm64.",
        "# Nothing that was uploaded after 2026-01-01T00:00:00Z.",
        "--index-url https://packages.example/simple",
        "uvicorn[standard]>=0.30",
        "idna ; python_version < '4'",
    ]


def test_index_of_a_package_is_named(make_request: MakeRequest) -> None:
    index = PackageIndex(
        name="pytorch-cu128",
        declared="pytorch",
        url="https://pytorch.example/cu128",
        packages=("torch", "torchvision"),
    )

    (file,) = pip.render_inputs(make_request("torch", "torchvision", indexes=(index,)))

    assert file.content.decode().splitlines()[3:5] == [
        "# Of this index: torch, torchvision.",
        "--extra-index-url https://pytorch.example/cu128",
    ]


def test_how_to_lock_is_not_part_of_the_input(make_request: MakeRequest) -> None:
    plain = pip.render_inputs(make_request("idna"))

    assert pip.render_inputs(make_request("idna", upgrade=("idna",))) == plain
    assert pip.render_inputs(make_request("idna", constraints=("idna==3.9",))) == plain


@pytest.mark.parametrize(
    "text",
    [
        "idna ; platform_version == 'a #1'",
        "idna ; platform_version == 'a -b'",
        "idna ; platform_version == '${HOME}'",
    ],
)
def test_what_pip_would_read_differently_is_refused(make_request: MakeRequest, text: str) -> None:
    with pytest.raises(LockError, match="a requirements file cannot hold"):
        pip.lock(make_request(text), current=None, ca_certificates=None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<<<<<<< HEAD\nidna==3.9\n", "has conflict markers"),
        (b"\xff", "cannot be read"),
        (b"idna>=3\n", "not a pin: 'idna>=3'"),
        (b"idna @ https://packages.example/idna.whl\n", "not a pin"),
        (b"idna==three\n", "not a pin"),
    ],
)
def test_lock_that_cannot_be_read_is_refused(
    make_request: MakeRequest, content: bytes, said: str
) -> None:
    with pytest.raises(LockError, match=said):
        pip.lock(make_request("idna"), current=content, ca_certificates=None)


def test_pins_of_other_tools_are_read() -> None:
    text = (
        "# made by pip-compile\r\n"
        "--index-url https://packages.example/simple\r\n"
        "\r\n"
        "Typing_Extensions==4.16.0 ; python_version < '4' \\\r\n"
        f"    --hash=sha256:{sha256('a')} \\\r\n"
        f"    --hash=sha256:{sha256('b')}\r\n"
        "    # via anyio\r\n"
        "idna==3.9  # by hand\r\n"
    )

    assert read_pins(text) == (
        pin("typing-extensions", "4.16.0", "a", "b", marker='python_version < "4"'),
        Pin(name="idna", version="3.9"),
    )


def test_what_all_platforms_share_has_no_marker() -> None:
    shared, only, newer = pin("idna", "3.20"), pin("triton", "3.4.0"), pin("torch", "2.9.0", "x")

    merged = merge_platforms(
        {"x86_64": [shared, only, newer], "aarch64": [shared, pin("torch", "2.8.0", "y")]}
    )

    assert merged == (
        shared,
        pin("torch", "2.8.0", "y", marker="platform_machine == 'aarch64'"),
        pin("torch", "2.9.0", "x", marker="platform_machine == 'x86_64'"),
        pin("triton", "3.4.0", marker="platform_machine == 'x86_64'"),
    )


def test_index_is_named_only_where_the_spec_names_one() -> None:
    pins = (pin("idna", "3.20"),)

    assert "://" not in render_pins(pins)
    assert "\n--index-url https://p.example/simple\n" in render_pins(
        pins, options=["--index-url https://p.example/simple"]
    )


pins = st.builds(
    Pin,
    name=st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True),
    version=st.sampled_from(["1", "2.0.post1", "2!1.0a1", "2.9.0+cu128"]),
    marker=st.sampled_from(["", 'platform_machine == "x86_64"', 'os_name == "a" or extra == "b"']),
    hashes=st.frozensets(st.from_regex(r"[0-9a-f]{64}", fullmatch=True), min_size=1, max_size=3),
)


options = st.lists(st.sampled_from(["--index-url https://p.example/s", "# Of it: torch."]))


@given(st.lists(pins, max_size=5), options)
def test_what_is_written_is_read_back(written: list[Pin], options: list[str]) -> None:
    assert read_pins(render_pins(written, options=options)) == tuple(written)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_pins(text)
    except ValueError:
        return
    assert all(Requirement(one.requirement).name for one in found)


@given(st.from_type(Requirement))
def test_pip_reads_the_requirement_that_was_meant(
    tmp_path_factory: pytest.TempPathFactory, wanted: Requirement
) -> None:
    req_file = pytest.importorskip("pip._internal.req.req_file")
    path = tmp_path_factory.getbasetemp() / "requirements.txt"
    path.write_text(f"{wanted}\n", encoding="utf-8")

    (line,) = req_file.parse_requirements(str(path), session=None)

    assert Requirement(line.requirement) == wanted
    assert not line.options


def test_files_that_pip_would_refuse_are_refused() -> None:
    wheel = Artifact(filename="idna-3.20-py3-none-any.whl", url="u", sha256=sha256("other"))
    package = LockedPackage(name="idna", version="3.20", wheels=(wheel,))

    with pytest.raises(LockError, match=r"different files for idna 3\.20"):
        pip_program._require_agreement("serve", [pin("idna", "3.20")], [package])


def test_upgraded_packages_are_not_kept() -> None:
    kept = pip_program._kept([pin("idna", "3.9"), pin("typing-extensions", "4")], ["Idna"])

    assert kept == (pin("typing-extensions", "4"),)
