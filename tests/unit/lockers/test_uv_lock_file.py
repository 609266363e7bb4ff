"""Files without hashes in a uv.lock, and the lock with hashes put in."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from envgen.lock.pylock import fits
from envgen.lockers import LockRequest
from envgen.lockers.uv_lock_file import add_hashes, drop_files, find_unhashed

WHEELS = [
    f"https://pytorch.example/cu128/torch-2.9.1%2Bcu128-{tag}.whl"
    for tag in ("cp312-cp312-manylinux_2_28_x86_64", "cp313-cp313-manylinux_2_28_x86_64")
]
SDIST = "https://pytorch.example/old-1.0.tar.gz"
LOCK = f"""\
version = 1

[[package]]
name = "demo"
version = "0"
source = {{ virtual = "." }}

[[package]]
name = "numpy"
version = "2.0"
source = {{ registry = "https://packages.example/simple" }}
wheels = [
    {{ url = "https://packages.example/numpy.whl", hash = "sha256:{"0" * 64}", size = 3 }},
]

[[package]]
name = "old"
version = "1.0"
source = {{ registry = "https://pytorch.example/cu128" }}
sdist = {{ url = "{SDIST}" }}

[[package]]
name = "torch"
version = "2.9.1+cu128"
source = {{ registry = "https://pytorch.example/cu128" }}
wheels = [
    {{ url = "{WHEELS[0]}" }},
    {{ url = "{WHEELS[1]}", size = 7 }},
]
"""
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


def request(*allowed: str) -> LockRequest:
    return LockRequest(
        image="serve",
        project="demo",
        folder="environments/serve",
        python="3.13",
        requirements=("torch",),
        platforms=("linux/amd64",),
        allow_source=allowed,
    )


def test_files_without_a_hash_are_found_with_their_names() -> None:
    found = find_unhashed(LOCK)

    assert [file.url for file in found] == [SDIST, *WHEELS]
    assert [file.name for file in found][1:] == [
        "torch-2.9.1+cu128-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.9.1+cu128-cp313-cp313-manylinux_2_28_x86_64.whl",
    ]


def test_only_what_the_image_can_install_needs_one() -> None:
    def fitting(*allowed: str) -> list[str]:
        found = find_unhashed(LOCK)
        return [file.url for file in found if fits(file.name, file.package, request(*allowed))]

    assert fitting() == WHEELS[1:]
    assert fitting("Old") == [SDIST, WHEELS[1]]


def test_hash_stands_where_uv_writes_it() -> None:
    made = add_hashes(LOCK, {WHEELS[1]: "a" * 64})

    assert f'    {{ url = "{WHEELS[1]}", hash = "sha256:{"a" * 64}", size = 7 }},\n' in made
    assert made.replace(f', hash = "sha256:{"a" * 64}"', "") == LOCK


@given(st.dictionaries(st.sampled_from([SDIST, *WHEELS]), digests))
def test_what_got_a_hash_lacks_none(hashes: dict[str, str]) -> None:
    made = add_hashes(LOCK, hashes)

    assert {file.url for file in find_unhashed(made)} == {SDIST, *WHEELS} - hashes.keys()


@given(st.sets(st.sampled_from([SDIST, *WHEELS])))
def test_what_is_dropped_leaves_a_lock(urls: set[str]) -> None:
    made = drop_files(LOCK, urls)

    assert {file.url for file in find_unhashed(made)} == {SDIST, *WHEELS} - urls
    assert tomllib.loads(made)["package"][1] == tomllib.loads(LOCK)["package"][1]
