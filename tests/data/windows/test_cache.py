import threading

import numpy as np
import pytest

from ram_tf.data.windows import TileCache


def tile(number, size=100):
    return np.full(size, number, np.uint8)


def test_the_tiles_used_last_are_kept_within_the_bytes():
    cache, made = TileCache(250), []

    def get(number):
        def make():
            made.append(number)
            return tile(number), 7

        return cache.get(number, make)[0]

    assert [get(n) for n in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert made == [1, 2, 3, 2]  # 3 took the place of 2, and 2 that of 3.
    assert cache.num_bytes == 200
    assert cache.counts == (28, 4, 2, 0)
    cache.clear()
    assert get(1) == 1 and made == [1, 2, 3, 2, 1]
    cache.reset_counts()
    assert cache.counts == (0, 0, 0, 0)


def test_what_is_too_large_is_not_kept():
    cache = TileCache(50)
    assert cache.get("a", lambda: (tile(1), 0)).shape == (100,)
    assert cache.num_bytes == 0


def test_two_threads_that_want_one_tile_decode_it_once():
    cache, started, go, made = TileCache(1000), threading.Event(), threading.Event(), []

    def make():
        started.set()
        go.wait()
        made.append(1)
        return tile(1), 5

    results = []
    first = threading.Thread(target=lambda: results.append(cache.get("a", make)))
    first.start()
    started.wait()
    second = threading.Thread(target=lambda: results.append(cache.get("a", make)))
    second.start()
    while cache.counts.tiles_cached == 0:
        pass
    go.set()
    first.join()
    second.join()
    assert len(results) == 2 and made == [1]
    assert cache.counts == (5, 1, 1, 0)


def test_an_error_is_raised_and_not_kept():
    cache = TileCache(1000)

    def fail():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.get("a", fail)
    assert cache.get("a", lambda: (tile(3), 1))[0] == 3
