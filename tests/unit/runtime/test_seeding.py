import random

import numpy as np
import pytest
from envgen_runtime import enforce, seed_everything


def test_same_seed_gives_the_same_draws() -> None:
    draws = []
    for _ in range(2):
        assert seed_everything(7)[:2] == ("random", "numpy")
        draws.append((random.random(), float(np.random.random())))  # noqa: NPY002, S311
    assert draws[0] == draws[1]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_that_numpy_would_refuse_is_refused_before_anything_is_seeded(seed: int) -> None:
    random.seed(1)
    before = random.getstate()
    with pytest.raises(ValueError, match="NumPy takes"):
        seed_everything(seed)
    assert random.getstate() == before


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="strict, warn, off"):
        enforce("loose")


def test_hash_seed_that_comes_too_late_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    with pytest.warns(RuntimeWarning, match="PYTHONHASHSEED is not set"):
        enforce("strict")
    enforce("off")
