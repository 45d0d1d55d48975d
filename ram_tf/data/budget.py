"""A bound on what all threads together hold in memory."""

import contextlib
import threading


class Budget:
    """Bytes that threads may hold at a time.

    What is larger than all of it is held alone, so that nothing waits for ever.

    Args:
        limit: Integer, bytes.
    """

    def __init__(self, limit):
        self.limit = limit
        self._free = limit
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, count):
        """Waits until `count` bytes are free and holds them inside the context."""
        count = min(count, self.limit)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()
