"""The self-test that an image runs on itself.

Plain files for Python 3.9 and newer: the standard library, and whatever framework the image holds.
Nothing here imports envgen. What it does and what it does not prove: docs/selftest.md of envgen.
"""

from __future__ import annotations

import os

__version__ = "0.1.0"


def seed_everything(seed: int) -> tuple[str, ...]:
    """Seed every global random generator that this process can have, and return their names.

    Generators that the program makes itself (`numpy.random.default_rng`, `torch.Generator`) are
    its own to seed.

    Raises:
        ValueError: `seed` is not in 0 ... 2**32 - 1, the range that all of them take.

    """
    # Imported here because every health check imports this module and must not pay for `random`.
    from envgen_runtime.seeding import seed_everything as seed_all

    seeded = seed_all(seed)
    if "ENVGEN_RUN_EVENTS" in os.environ:
        from envgen_runtime.manifest.events import tell

        tell("seed", depth=2, seed=seed, generators=seeded)
    return seeded


def seed_worker(worker: int) -> None:
    """Seed a worker process of a DataLoader from the seed that the DataLoader gave it.

    Torch seeds `random`, NumPy's global state and itself there; this adds TensorFlow, and older
    releases. It is the `worker_init_fn` of `loader_options`.
    """
    from envgen_runtime.seeding import seed_worker as seed_it

    seed_it(worker)


def loader_options(seed: int) -> dict[str, object]:
    """Return options that make the order and the workers of a torch DataLoader repeat.

    `DataLoader(data, shuffle=True, num_workers=4, **loader_options(7))`. Its own generator keeps
    the order of the data apart from whatever else the program draws.
    """
    from envgen_runtime.seeding import loader_options as make

    return make(seed)


def enforce(mode: str | None = None) -> tuple[str, ...]:
    """Turn on the deterministic mode of every installed framework, and return their names.

    To be called before anything runs on a GPU. It warns where something comes too late.

    Args:
        mode: `strict`: an operation without a deterministic kernel raises. `warn`: torch warns,
            and TensorFlow and JAX, which cannot, are left alone. `off`: torch as it comes. By
            default what the image was rendered with (ENVGEN_SELFTEST), else `strict`.

    Raises:
        ValueError: `mode` is none of them.

    """
    from envgen_runtime.seeding import enforce as enforce_all

    return enforce_all(mode)


def tell_parameters(**parameters: object) -> bool:
    """Record hyper-parameters of this run; return whether `envgen-run` is recording it.

    An active run of MLflow or Weights & Biases gets them too, with the lock and the image digest.
    """
    from envgen_runtime.manifest.events import tell
    from envgen_runtime.manifest.tracking import track

    return tell("parameters", depth=2, values=parameters, tracked=track(parameters))


def tell_data(name: str, version: str) -> bool:
    """Record which version of a data set this run reads; return whether it is being recorded."""
    from envgen_runtime.manifest.events import tell

    return tell("data", depth=2, name=name, version=version)
