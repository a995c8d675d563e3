"""Work in a second thread: in order, within its limit, and without a thread that stays."""

import threading
import time
from collections.abc import Iterator

import pytest

from app.pipeline.beside import work_beside


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_the_result_is_that_of_all_items_in_order() -> None:
    caller = threading.get_ident()
    workers: set[int] = set()

    def work(items: Iterator[int]) -> list[int]:
        workers.add(threading.get_ident())
        return list(items)

    assert work_beside(((n, 1) for n in range(100)), work, limit=3) == list(range(100))
    assert caller not in workers


def test_the_production_waits_while_too_much_is_unfinished() -> None:
    produced: list[int] = []
    ahead: list[int] = []

    def items() -> Iterator[tuple[int, int]]:
        for number in range(12):
            produced.append(number)
            yield number, number % 3 // 2  # every third item counts

    def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            time.sleep(0.005)
            ahead.append(produced[-1] - number)

    work_beside(items(), work, limit=1)
    assert len(ahead) == 12
    # The item in hand and the next one that counts are three apart; the one after may be begun.
    assert 3 <= max(ahead) <= 6


def test_an_error_of_the_production_stops_the_work() -> None:
    seen: list[int] = []

    def items() -> Iterator[tuple[int, int]]:
        yield 1, 0
        raise ValueError("broken")

    def work(numbers: Iterator[int]) -> str:
        seen.extend(numbers)
        return "incomplete"

    with pytest.raises(ValueError, match="broken"):
        work_beside(items(), work, limit=1)


def test_an_interruption_of_the_production_is_raised() -> None:
    def items() -> Iterator[tuple[int, int]]:
        yield 1, 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_beside(items(), sum, limit=0)


def test_an_error_of_the_work_ends_the_production() -> None:
    produced: list[int] = []

    def items() -> Iterator[tuple[int, int]]:
        for number in range(10**6):
            produced.append(number)
            yield number, 1

    def work(numbers: Iterator[int]) -> None:
        next(numbers)
        raise OSError("no model")

    with pytest.raises(OSError, match="no model"):
        work_beside(items(), work, limit=2)
    assert len(produced) < 10


def test_the_work_may_end_early() -> None:
    def items() -> Iterator[tuple[int, int]]:
        yield from ((number, 1) for number in range(10**6))

    assert work_beside(items(), next, limit=2) == 0
