"""What is written as TOML is read back as it was."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from envgen.lock.model import FORMAT, Lock, LockedBase, LockedTool, read_lock, write_lock
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lock.pylock import render_pylock
from envgen.lockers import LockRequest
from envgen.lockers.uv import render_inputs
from envgen.spec.forms import check_requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
words = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)
markers = st.sampled_from(["", ' ; python_version < "3.13"', "; extra == 'a\"b'"])
requirements = st.builds(
    "{}{}{}".format,
    st.from_regex(r"[a-zA-Z][a-zA-Z0-9._-]{0,5}[a-z0-9]", fullmatch=True),
    st.sampled_from(["", ">=1", "==1.*", "!=2,<3", "[a,b]>=1"]),
    markers,
)
artifacts = st.builds(
    Artifact,
    filename=texts,
    url=texts,
    sha256=hashes,
    size=st.none() | st.integers(min_value=0, max_value=2**40),
)
packages = st.builds(
    LockedPackage,
    name=texts,
    version=texts,
    wheels=st.lists(artifacts, max_size=2).map(tuple),
    source=st.none() | artifacts,
    marker=texts,
)


@given(st.lists(requirements.filter(lambda text: check_requirement(text) is None), max_size=4))
def test_uv_reads_the_requirements_of_the_spec(requirements: list[str]) -> None:
    request = LockRequest(
        image="serve",
        project="demo",
        folder="environments/serve",
        python="3.13",
        requirements=tuple(requirements),
        platforms=("linux/amd64",),
    )
    (file,) = render_inputs(request)

    document = tomllib.loads(file.content.decode())

    assert document["project"]["dependencies"] == requirements
    assert document["project"].keys() == {"name", "version", "requires-python", "dependencies"}


@given(st.lists(packages, max_size=3))
def test_pylock_holds_the_packages(packages: list[LockedPackage]) -> None:
    document = tomllib.loads(render_pylock(packages, "3.13"))

    assert [as_table(package) for package in packages] == document.get("packages", [])


def as_table(package: LockedPackage) -> Mapping[str, object]:
    table: dict[str, object] = {"name": package.name, "version": package.version}
    if package.marker:
        table["marker"] = package.marker
    if package.source:
        table["sdist"] = as_row(package.source)
    if package.wheels:
        table["wheels"] = [as_row(wheel) for wheel in package.wheels]
    return table


def as_row(artifact: Artifact) -> Mapping[str, object]:
    size = {} if artifact.size is None else {"size": artifact.size}
    hashes = {"hashes": {"sha256": artifact.sha256}}
    return {"name": artifact.filename, "url": artifact.url, **size, **hashes}


@given(
    bases=st.lists(st.tuples(words, hashes, texts), max_size=3, unique_by=lambda base: base[0]),
    tools=st.dictionaries(words, st.dictionaries(words, hashes, max_size=2), max_size=2),
)
def test_lock_file_is_read_back(
    bases: list[tuple[str, str, str]], tools: dict[str, dict[str, str]]
) -> None:
    lock = Lock(
        format=FORMAT,
        bases=tuple(
            LockedBase(image=image, digest=f"sha256:{digest}", origin=origin)
            for image, digest, origin in sorted(bases)
        ),
        tools=tuple(
            LockedTool(name=name, version="1", sha256=dict(sorted(tools[name].items())))
            for name in sorted(tools)
        ),
        images={},
    )

    assert read_lock(write_lock(lock)) == lock
