"""Work in a second thread on items that the calling thread produces, in step with it."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Stopped(Exception):
    """Ends the work: there will be no further item."""


class _Feed(Generic[T]):
    """Hands items over; ``changed`` guards every field.

    An item counts with its weight until the next one is asked for.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._queue: deque[tuple[T, int]] = deque()
        self._unfinished = 0
        self._complete = self._stopped = self._ended = False

    def put(self, item: T, weight: int) -> bool:
        """Add an item; wait until the limit is kept. Return False if the work has ended."""
        with self._changed:
            self._queue.append((item, weight))
            self._unfinished += weight
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ended or self._unfinished <= self._limit)
            return not self._ended

    def close(self, *, complete: bool) -> None:
        """Say that there are no more items: all were put, or the rest must not be worked on."""
        with self._changed:
            self._complete, self._stopped = complete, not complete
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more items are needed."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        finished = 0
        while True:
            with self._changed:
                self._unfinished -= finished
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._complete or self._stopped)
                if self._stopped:
                    raise _Stopped
                if not self._queue:
                    return
                item, finished = self._queue.popleft()
            yield item


def work_beside(
    items: Iterable[tuple[T, int]], work: Callable[[Iterator[T]], R], *, limit: int
) -> R:
    """Run ``work`` on items in a thread, and return its result.

    The items are produced in the calling thread, so that progress and signals are handled there.
    Whatever fails, in either thread, ends both and is raised here.

    Args:
        items: each with its weight.
        work: takes the items; it may return before the last one, then no more are produced.
        limit: the production waits while the items that are not worked off weigh more.
    """
    feed: _Feed[T] = _Feed(limit)
    results: list[R] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(iter(feed)))
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again by the caller
            errors.append(error)
        finally:
            feed.end()

    thread = threading.Thread(target=run, name="follow-faces", daemon=True)
    thread.start()
    complete = False
    try:
        for item, weight in items:
            if not feed.put(item, weight):
                break
        complete = True
    finally:
        feed.close(complete=complete)
        thread.join()
    if errors:
        raise errors.pop()
    return results.pop()
