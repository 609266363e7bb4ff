"""Seeds for the code of users."""

from __future__ import annotations

import random


def seed_everything(seed: int) -> tuple[str, ...]:
    """See `envgen_runtime.seed_everything`."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; NumPy takes 0 ... 2**32 - 1")
    random.seed(seed)
    seeded = ["random"]
    try:
        import numpy as np
    except ImportError:
        pass
    else:
        np.random.seed(seed)  # noqa: NPY002 the legacy global state, which is what libraries draw from
        seeded.append("numpy")
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.manual_seed(seed)  # every device
        seeded.append("torch")
    return tuple(seeded)
