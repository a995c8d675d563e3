"""Run an iterator ahead in a thread, within bounds."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Done:
    """Marks the end of the items."""


class _Worker(Generic[T]):
    """The thread that produces items; ``changed`` guards every field."""

    def __init__(
        self, items: Iterator[T], weigh: Callable[[T], int], count: int, weight: int
    ) -> None:
        self.items = items
        self.weigh = weigh
        self.count = count
        self.weight = weight
        self.changed = threading.Condition()
        self.queue: deque[tuple[T | type[_Done] | BaseException, int]] = deque()
        self.queued = 0
        self.stopped = False

    def run(self) -> None:
        try:
            for item in self.items:
                if not self._put(item, self.weigh(item)):
                    return
            self._put(_Done, 0)
        except BaseException as error:  # noqa: BLE001 - it is raised again by the consumer
            self._put(error, 0)

    def _put(self, item: T | type[_Done] | BaseException, weight: int) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: self.stopped or self._has_room(weight))
            if self.stopped:
                return False
            self.queue.append((item, weight))
            self.queued += weight
            self.changed.notify_all()
            return True

    def _has_room(self, weight: int) -> bool:
        """Whether an item may be added; one item always may, whatever its weight."""
        light = self.queued + weight <= self.weight
        return not self.queue or (len(self.queue) < self.count and light)

    def take(self) -> T | type[_Done] | BaseException:
        with self.changed:
            self.changed.wait_for(lambda: bool(self.queue))
            item, weight = self.queue.popleft()
            self.queued -= weight
            self.changed.notify_all()
            return item

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.queue.clear()
            self.changed.notify_all()


def run_ahead(
    items: Iterator[T], *, weigh: Callable[[T], int], count: int, weight: int
) -> Generator[T, None, None]:
    """Yield the same items, produced ahead by a thread.

    The thread ends before this generator does, even if the generator is closed early. Errors of
    ``items`` are raised here with their own traceback.

    Args:
        items: the iterator; it runs in the thread.
        weigh: returns the weight of an item.
        count: the largest number of items that wait.
        weight: the largest weight of all items that wait.
    """
    worker = _Worker(items, weigh, count, weight)
    thread = threading.Thread(target=worker.run, name="decode-ahead", daemon=True)
    thread.start()
    item: T | type[_Done] | BaseException = _Done
    try:
        while (item := worker.take()) is not _Done:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]
    finally:
        del item  # An error refers to this frame; a cycle would keep the decoder open.
        worker.stop()
        thread.join()
