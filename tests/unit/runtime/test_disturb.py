import ctypes
import threading

import pytest
from envgen_runtime.disturb import Beside, poison_malloc


def read_fresh_memory() -> set[int]:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    size = 1 << 22
    address = library.malloc(size)
    try:
        return set(ctypes.string_at(address, size))
    finally:
        library.free(ctypes.c_void_p(address))


def test_memory_holds_rubbish_while_it_is_asked_for() -> None:
    if not poison_malloc(on=True):
        pytest.skip("this C library has no M_PERTURB")
    try:
        assert read_fresh_memory() == {0x7F}
    finally:
        poison_malloc(on=False)
    assert read_fresh_memory() != {0x7F}


def test_other_work_runs_beside_and_ends() -> None:
    ran = threading.Event()
    before = threading.active_count()
    with Beside(ran.set):
        assert ran.wait(10)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
