"""The self-test that an image runs on itself.

Plain files for Python 3.9 and newer: the standard library, and whatever framework the image holds.
Nothing here imports envgen. What it does and what it does not prove: docs/selftest.md of envgen.
"""

from __future__ import annotations

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

    return seed_all(seed)
