"""The number of videos at once, and the part of the machine that each gets."""

import os
from pathlib import Path

import pytest

from app.workers import Shares, workers_for

GIB = 2**30


@pytest.mark.parametrize(
    ("cores", "gib", "expected"),
    [
        (1, 64, 1),
        (2, 64, 1),
        (5, 64, 1),
        (6, 64, 2),
        (8, 64, 2),
        (16, 64, 5),
        (64, 1024, 21),
        (16, 8, 4),
        (16, 3.9, 1),
        (16, 0.5, 1),
    ],
)
def test_the_number_follows_cores_and_memory(cores: int, gib: float, expected: int) -> None:
    assert workers_for(cores, int(gib * GIB)) == expected


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of 16 cores and 64 GiB; the root of its file system."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    values = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIB // 4096}
    monkeypatch.setattr(os, "sysconf", values.__getitem__)
    return tmp_path


def write_limits(root: Path, *, cpu: str = "max 100000", memory: str = "max") -> None:
    groups = root / "sys/fs/cgroup"
    groups.mkdir(parents=True)
    (groups / "cpu.max").write_text(cpu + "\n")
    (groups / "memory.max").write_text(memory + "\n")


def test_a_machine_is_shared(machine: Path) -> None:
    assert Shares.of_machine(None, root=machine) == Shares(5, 3, 48 * GIB // 5)


def test_affinity_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6, 7, 8, 9, 12, 13})
    assert Shares.of_machine(None, root=machine) == Shares(2, 4, 24 * GIB)


def test_the_quota_of_a_container_counts(machine: Path) -> None:
    write_limits(machine, cpu="650000 100000")
    assert Shares.of_machine(None, root=machine) == Shares(2, 3, 24 * GIB)


def test_the_memory_of_a_container_counts(machine: Path) -> None:
    write_limits(machine, memory=str(6 * GIB))
    assert Shares.of_machine(None, root=machine) == Shares(2, 8, 9 * GIB // 4)


def test_one_worker_may_use_all_cores(machine: Path) -> None:
    write_limits(machine, cpu="400000 100000")
    assert Shares.of_machine(None, root=machine) == Shares(1, None, 48 * GIB)


def test_a_given_number_counts(machine: Path) -> None:
    write_limits(machine, cpu="200000 100000", memory=str(2 * GIB))
    assert Shares.of_machine(3, root=machine) == Shares(3, 1, GIB // 2)


def test_a_given_limit_of_memory_is_that_of_each_worker(machine: Path) -> None:
    given = Shares.of_machine(None, memory=20 * GIB, root=machine)
    assert given == Shares(2, 8, 20 * GIB)
    assert Shares.of_machine(4, memory=20 * GIB, root=machine) == Shares(4, 4, 20 * GIB)


def test_given_threads_are_those_of_each_worker(machine: Path) -> None:
    assert Shares.of_machine(None, threads=2, root=machine).threads == 2
    assert Shares.of_machine(1, threads=2, root=machine).threads == 2


@pytest.mark.parametrize(("tasks", "expected"), [(0, 1), (1, 1), (2, 2), (3, 3), (50, 5)])
def test_no_worker_is_idle(machine: Path, tasks: int, expected: int) -> None:
    shares = Shares.of_machine(None, tasks=tasks, root=machine)
    assert shares.workers == expected
    assert shares.threads == (None if expected == 1 else 16 // expected)
