"""A pool of children: each is independent of the others."""

import os
import signal
from collections.abc import Iterator

import pytest

from app.errors import Crashed, PeopleError
from app.isolation import Limits, Pool, Supervisor
from tests.isolation.test_supervisor import MODULE, ask
from tests.processes import children, is_running, wait_until

SIZE = 3


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(MODULE, {}, Limits(memory=2**28, stall=2), SIZE) as one:
        one.launch()
        one.load()
        yield one


def take(pool: Pool) -> Supervisor:
    child = pool.take(1)
    assert child is not None
    return child


def processes(pool: Pool) -> list[int]:
    return [child.process for child in pool.supervisors if child.process is not None]


def test_each_child_is_taken_once(pool: Pool) -> None:
    children = [take(pool) for _ in range(SIZE)]
    assert len({child.process for child in children}) == SIZE == len(pool)
    assert pool.take(0.01) is None
    pool.put_back(children[1])
    assert take(pool) is children[1]


def test_the_others_get_what_the_first_has_read() -> None:
    with Pool(MODULE, {}, Limits(memory=2**28, stall=2), SIZE) as pool:
        first = pool.load()
        given = [ask(take(pool), "loaded") for _ in range(SIZE)]
    assert given == [None, first, first]


def test_a_crash_is_no_matter_of_the_others(pool: Pool) -> None:
    before = processes(pool)
    one, other, _ = (take(pool) for _ in range(SIZE))
    with pytest.raises(Crashed):
        ask(one, "crash")
    assert ask(other, "echo", "a") == "a"
    assert ask(one, "echo", "b") == "b"
    assert len(set(before) & set(processes(pool))) == SIZE - 1


def test_all_children_that_ended_while_idle_are_replaced(pool: Pool) -> None:
    before = processes(pool)
    for process in before[1:]:
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: pool.revive() and not set(processes(pool)) & set(before[1:]))
    assert len(processes(pool)) == SIZE
    assert processes(pool)[0] == before[0]
    assert [ask(take(pool), "echo", text) for text in "abc"] == ["a", "b", "c"]


@pytest.mark.parametrize("fault", ["fail", "fail_later"])
def test_a_failed_start_leaves_no_child(fault: str) -> None:
    before = children(os.getpid())  # such as the browser of other tests
    pool = Pool(MODULE, {fault: True}, Limits(memory=2**28, stall=2), SIZE)
    pool.launch()
    (process,) = processes(pool)
    with pytest.raises(PeopleError):
        pool.load()
    assert processes(pool) == []
    wait_until(lambda: not is_running(process))
    assert set(children(os.getpid())) <= set(before)
