"""Which packages share a layer, and that they stay where they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envgen.lock.layers import layer_table, place_packages
from envgen.lock.model import LAYERS, Lock, LockedImage, LockedLayer, Places, find_places
from envgen.lock.packages import Artifact, LockedPackage

MB = 1_000_000


def package(name: str, megabytes: float) -> LockedPackage:
    file = Artifact(
        filename=f"{name}-1-py3-none-any.whl",
        url=f"https://packages.example/{name}",
        sha256="0" * 64,
        size=int(megabytes * MB),
    )
    return LockedPackage(name=name, version="1", wheels=(file,), downloads={"linux/amd64": file})


def place(sizes: dict[str, float], **places: dict[str, str]) -> dict[str, list[str]]:
    found = place_packages([package(*item) for item in sizes.items()], Places(**places))
    return {layer: [member.name for member in members] for layer, members in found.items()}


def remember(layers: dict[str, list[str]]) -> dict[str, str]:
    return {name: layer for layer, names in layers.items() for name in names}


GPU = {
    "torch": 900.0,
    "triton": 170.0,
    "nvidia-cudnn-cu12": 700.0,
    "nvidia-cublas-cu12": 590.0,
    "nvidia-ml-py": 0.05,
    "scipy": 35.0,
    "numpy": 16.0,
    "tqdm": 0.08,
}


def test_layers_are_stacked_from_what_changes_least_to_what_changes_most() -> None:
    assert place(GPU) == {
        "cuda-packages": ["nvidia-cublas-cu12", "nvidia-cudnn-cu12"],
        "framework": ["torch", "triton"],
        "heavy": ["numpy", "scipy"],
        "packages": ["nvidia-ml-py", "tqdm"],
    }


def test_small_environment_has_one_layer() -> None:
    assert list(place({"numpy": 16, "scipy": 30, "tqdm": 0.1})) == ["packages"]


def test_environment_without_packages_has_one_layer() -> None:
    assert place({}) == {"packages": []}


def test_layer_that_is_not_worth_it_joins_the_light_one() -> None:
    sizes = {"jax": 3.0, "jaxlib": 5.0, "scipy": 35.0, "pyarrow": 45.0}
    assert place(sizes) == {"heavy": ["pyarrow", "scipy"], "packages": ["jax", "jaxlib"]}


def test_size_that_drifts_over_a_threshold_moves_no_package() -> None:
    before = {"scipy": 35.0, "pyarrow": 45.0, "matplotlib": 8.1, "scikit-learn": 7.9}
    own = remember(place(before))
    after = before | {"matplotlib": 7.9, "scikit-learn": 8.1}

    assert place(after, own=own) == place(before)
    assert place(after) != place(before)


def test_size_that_moves_far_moves_the_package() -> None:
    before = {"scipy": 35.0, "pyarrow": 45.0, "grown": 1.0, "shrunk": 10.0}
    after = before | {"grown": 20.0, "shrunk": 1.0}

    assert place(after, own=remember(place(before))) == {
        "heavy": ["grown", "pyarrow", "scipy"],
        "packages": ["shrunk"],
    }


def test_split_environment_stays_split_until_it_is_much_smaller() -> None:
    before = {"scipy": 35.0, "pyarrow": 45.0, "tqdm": 0.1}
    own = remember(place(before))

    assert list(place(before | {"pyarrow": 1.0}, own=own)) == ["heavy", "packages"]
    assert list(place({"scipy": 20.0, "tqdm": 0.1}, own=own)) == ["packages"]


def test_new_package_follows_the_other_images_of_the_spec() -> None:
    sizes = {"scipy": 35.0, "pyarrow": 45.0, "matplotlib": 7.9}
    assert place(sizes)["packages"] == ["matplotlib"]
    assert "packages" not in place(sizes, others={"matplotlib": "heavy"})
    assert place(sizes, own={"matplotlib": "packages"}, others={"matplotlib": "heavy"})[
        "packages"
    ] == ["matplotlib"]


def test_other_images_do_not_split_a_small_one() -> None:
    assert list(place({"scipy": 35.0}, others={"scipy": "heavy"})) == ["packages"]


@given(
    st.dictionaries(
        st.sampled_from([*GPU, "pandas", "pyarrow", "rich", "jax"]),
        st.floats(min_value=0, max_value=900),
    )
)
def test_every_package_is_in_one_layer_and_locking_again_moves_none(
    sizes: dict[str, float],
) -> None:
    layers = place(sizes)

    assert sorted(name for names in layers.values() for name in names) == sorted(sizes)
    assert list(layers) == [name for name in LAYERS if name in layers]
    own = remember(layers) if len(layers) > 1 else {}
    assert place(sizes, own=own) == layers


def test_every_name_of_the_table_is_about_a_layer() -> None:
    assert {row.layer for row in layer_table().names} <= set(LAYERS)
    assert all(row.reason for row in layer_table().names)


def test_places_are_read_from_the_lock() -> None:
    def image(**layers: tuple[str, ...]) -> LockedImage:
        rows = (
            LockedLayer(name=name, sha256="0" * 64, packages=1, download_bytes={}, members=members)
            for name, members in layers.items()
        )
        return LockedImage(
            base="b",
            locker="uv",
            locker_version="1",
            input_sha256="0" * 64,
            lock_sha256="0" * 64,
            frameworks={},
            layers=tuple(rows),
        )

    images = {"a": image(heavy=("numpy",), packages=("tqdm",)), "b": image(heavy=("scipy",))}
    lock = Lock(format=1, bases=(), tools=(), images=images)

    assert find_places(lock, "a") == Places(
        own={"numpy": "heavy", "tqdm": "packages"}, others={"scipy": "heavy"}
    )
    assert find_places(lock, "c").own == {}
