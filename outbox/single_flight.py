"""One thread of a process at a time does a piece of work, so that the others stay free for other work."""

import threading
from collections.abc import Callable


class SingleFlight:
    """Runs a piece of work on one thread at a time, and once more for requests that came in the meantime."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._again = threading.Event()

    def run(self, work: Callable[[], int]) -> int:
        """Run `work` and return the sum of what it returned.

        Where another thread runs it, that thread will run it again, and this call returns 0 at once: what was there when
        the call came is seen by a run that begins after it.
        """
        done = 0
        self._again.set()
        while self._again.is_set() and self._lock.acquire(blocking=False):
            try:
                self._again.clear()
                done += work()
            finally:
                self._lock.release()
        return done
