import threading
from concurrent.futures import Future

import pytest

from envgen.lock.pool import Pool


def test_futures_hold_results_and_errors() -> None:
    with Pool(2) as pool:
        fine = pool.submit(divmod, 7, 2)
        broken = pool.submit(divmod, 7, 0)

    assert fine.result() == (3, 1)
    assert isinstance(broken.exception(), ZeroDivisionError)


def test_size_bounds_what_runs_at_once() -> None:
    started = threading.Semaphore(0)
    release = threading.Event()

    def work() -> None:
        started.release()
        assert release.wait(10)

    with Pool(2) as pool:
        for _ in range(3):
            pool.submit(work)
        first_two = [started.acquire(timeout=10) for _ in range(2)]
        third = started.acquire(timeout=0.2)
        release.set()

    assert first_two == [True, True]
    assert third is False


def test_leaving_waits_for_the_work() -> None:
    done: list[int] = []

    with Pool(1) as pool:
        for number in range(3):
            pool.submit(done.append, number)

    assert sorted(done) == [0, 1, 2]


def test_interrupt_drops_what_waits_and_leaves_what_hangs() -> None:
    release = threading.Event()
    began = threading.Event()

    def hang() -> None:
        began.set()
        release.wait(60)

    def interrupt() -> None:
        with Pool(1) as pool:
            futures.append(pool.submit(hang))
            began.wait(10)
            futures.append(pool.submit(int))
            raise KeyboardInterrupt

    futures: list[Future[object]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    hanging, waiting = futures

    assert not hanging.done()
    assert waiting.cancelled()
    release.set()
