"""The project's own packages in a spec: what images ask for in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import tomli_w

from envgen.errors import SpecError
from envgen.spec.load import load_spec

if TYPE_CHECKING:
    from pathlib import Path

    from envgen.spec.model import Image, Spec

BACKEND = {"requires": ["hatchling"], "build-backend": "hatchling.build"}


def write(root: Path, folder: str, name: str, *needs: str, **uv: Any) -> None:
    document = {
        "build-system": BACKEND,
        "project": {"name": name, "version": "1", "dependencies": list(needs)},
        "tool": {"uv": uv},
    }
    path = root / folder / "pyproject.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomli_w.dumps(document), encoding="utf-8")


def load(root: Path, image: dict[str, Any], *needs: str, **uv: Any) -> Spec:
    """Return the spec of a pyproject.toml with one image and these requirements."""
    envgen = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"python": "3.13"},
        "images": {"serve": image},
    }
    document = {
        "project": {"name": "shop", "requires-python": ">=3.11", "dependencies": list(needs)},
        "tool": {"envgen": envgen, "uv": uv},
    }
    (root / "pyproject.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    return load_spec(root).spec


def serve(root: Path, image: dict[str, Any], *needs: str, **uv: Any) -> Image:
    return load(root, image, *needs, **uv).images["serve"]


def test_what_own_packages_need_stands_in_their_place(tmp_path: Path) -> None:
    write(tmp_path, "core", "Acme_Core", "numpy>=2")
    write(tmp_path, "api", "acme-api", "acme.core", "fastapi")

    image = serve(tmp_path, {"install": ["api", "core/"]}, "rich")

    assert image.install == ("api", "core")
    assert image.dependencies == ("numpy>=2", "fastapi", "rich")


def test_packages_that_need_each_other_are_each_there_once(tmp_path: Path) -> None:
    write(tmp_path, "a", "a", "b", "x")
    write(tmp_path, "b", "b", "a", "y")

    image = serve(tmp_path, {"install": ["a", "b"]})

    assert (image.install, image.dependencies) == (("a", "b"), ("y", "x"))


def test_path_of_uv_sources_is_relative_to_the_file_it_stands_in(tmp_path: Path) -> None:
    write(tmp_path, "libs/api", "api", "core", sources={"core": {"path": "../core"}})
    write(tmp_path, "libs/core", "core", "numpy")

    image = serve(tmp_path, {"install": ["libs/api"]})

    assert image.install == ("libs/api", "libs/core")
    assert image.dependencies == ("numpy",)


def test_workspace_of_the_folder_above_counts_for_an_envgen_toml_too(tmp_path: Path) -> None:
    write(tmp_path, "libs/api", "api", "core", sources={"core": {"workspace": True}})
    write(tmp_path, "libs/core", "core", "numpy")
    write(tmp_path, "libs/old", "core", "left-out")
    workspace = {"members": ["libs/*"], "exclude": ["libs/old"]}
    load(tmp_path, {}, workspace=workspace)
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "shop", "python": "3.13"},
        "images": {"serve": {"install": ["libs/api"]}},
    }
    (tmp_path / "envgen.toml").write_text(tomli_w.dumps(spec), encoding="utf-8")

    image = load_spec(tmp_path).spec.images["serve"]

    assert image.install == ("libs/api", "libs/core")


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"git": "https://git.example/x", "tag": "v1"}, "x[a] @ git+https://git.example/x@v1"),
        (
            {"git": "https://git.example/x", "rev": "abc", "subdirectory": "py"},
            "x[a] @ git+https://git.example/x@abc#subdirectory=py",
        ),
        ({"git": "https://git.example/x"}, "x[a] @ git+https://git.example/x"),
        ([{"index": "acme", "marker": "sys_platform == 'darwin'"}], "x[a]>=1"),
        ([{"index": "acme", "extra": "gpu"}], "x[a]>=1"),
    ],
)
def test_source_that_holds_for_the_image_is_taken(tmp_path: Path, sources: Any, found: str) -> None:
    image = serve(tmp_path, {}, "x[a]>=1", sources={"x": sources})

    assert image.dependencies == (found,)


def test_index_of_uv_becomes_one_of_the_spec_for_that_package(tmp_path: Path) -> None:
    index = {"name": "acme", "url": "https://acme.example/simple", "explicit": True}

    spec = load(tmp_path, {}, "x>=1", "y", sources={"x": {"index": "acme"}}, index=[index])

    assert spec.images["serve"].dependencies == ("x>=1", "y")
    assert spec.network.indexes["acme"].url == "https://acme.example/simple"
    assert spec.network.indexes["acme"].packages == ("x",)


def test_extra_of_an_own_package_adds_what_it_needs(tmp_path: Path) -> None:
    write(tmp_path, "core", "core", "numpy")
    path = tmp_path / "core/pyproject.toml"
    extras = '[project.optional-dependencies]\nFast_Math = ["orjson", "core[more]"]\nmore = ["x"]\n'
    path.write_text(path.read_text(encoding="utf-8") + extras, encoding="utf-8")

    image = serve(tmp_path, {}, "core[fast-math]", sources={"core": {"path": "core"}})

    assert image.dependencies == ("numpy", "orjson", "x")


def test_own_package_for_another_system_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "core", "core", "numpy")

    image = serve(
        tmp_path,
        {},
        "core ; sys_platform == 'win32'",
        sources={"core": {"path": "core"}},
    )

    assert (image.install, image.dependencies) == ((), ())


@pytest.mark.parametrize(
    ("image", "uv", "said"),
    [
        ({"install": ["nowhere"]}, {}, "nowhere/pyproject.toml: cannot be read"),
        ({"install": [".git"]}, {}, "is never let into a build"),
        ({}, {"sources": {"x": {"workspace": True}}}, "there is no member 'x'"),
        ({}, {"sources": {"x": {"path": "../x"}}}, "is outside of the spec's folder"),
        ({}, {"sources": {"x": {"path": "x.whl"}}}, "is an archive"),
        ({}, {"sources": {"x": {"url": "https://x.example/x.whl"}}}, "does not know"),
        ({}, {"sources": {"x": {"index": "acme"}}}, "there is no index 'acme'"),
        ({}, {"sources": {"x": [{"index": "a"}, {"index": "b"}]}}, "2 sources"),
        ({}, {"sources": {"x": {"git": "git@git.example:x"}}}, "with a login"),
        (
            {},
            {
                "sources": {"x": {"index": "acme"}},
                "index": [{"name": "acme", "url": "https://u:p@acme.example"}],
            },
            "carries a login",
        ),
    ],
)
def test_what_cannot_be_followed_is_told(
    tmp_path: Path, image: dict[str, Any], uv: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        load(tmp_path, image, "x", **uv)


@pytest.mark.parametrize(
    ("image", "network", "said"),
    [
        ({"cpu-only": True, "gpu": {}}, {}, "contradicts `gpu`"),
        ({"cpu-only": True, "locker": "conda-lock"}, {}, "is not for conda-lock"),
        (
            {"locker": "poetry", "gpu": {"cuda": "12.8"}, "dependencies": ["torch"]},
            {},
            "poetry takes no packages from the index pytorch",
        ),
        (
            {"locker": "pip", "dependencies": ["x @ git+https://git.example/x@v1"]},
            {},
            "pip does not lock 'x @ git",
        ),
        ({}, {"acme": {"url": "https://acme.example/s"}}, "names no package"),
        (
            {},
            {"pytorch": {"url": "https://acme.example/s", "packages": ["torch"]}},
            "envgen knows which packages",
        ),
        (
            {},
            {
                name: {"url": "https://acme.example/s", "packages": ["x"]}
                for name in ("acme", "other")
            },
            "x comes from acme already",
        ),
    ],
)
def test_what_does_not_go_together_is_told(
    tmp_path: Path, image: dict[str, Any], network: dict[str, Any], said: str
) -> None:
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "shop", "python": "3.13"},
        "images": {"serve": image},
        "network": {"indexes": network},
    }
    (tmp_path / "envgen.toml").write_text(tomli_w.dumps(spec), encoding="utf-8")

    with pytest.raises(SpecError, match=said):
        load_spec(tmp_path)
