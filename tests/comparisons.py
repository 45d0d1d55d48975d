"""When two ways of computing the same numbers agree, on any processor.

Float32 rounds to 6e-8, and the order in which a sum is rounded depends on processor,
threads and compiler. One number that is a small difference of large ones can lose all
its digits that way; the norm of what differs, over the norm of the whole, does not.
"""

import numpy as np


def relative_error(actual, expected):
    """||actual - expected|| / ||expected|| of two arrays of one shape, in float64.

    The norms are over what is finite: the rest must stand at the same places and be the
    same. It is infinite if that fails, and where anything is compared with nothing.
    """
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    assert actual.shape == expected.shape, f"{actual.shape} for {expected.shape}"
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(actual)):
        return np.inf
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True):
        return np.inf
    error = np.linalg.norm(actual[finite] - expected[finite])
    scale = np.linalg.norm(expected[finite])
    return error / scale if scale else (np.inf if error else 0.0)


def assert_close(actual, expected, tolerance=1e-5, what="all of it"):
    """Asserts that the `relative_error` is within a tolerance.

    1e-5 is more than a hundred roundings of float32: enough for some layers that sum
    some hundred numbers each. What amplifies them says so and takes more.
    """
    error = relative_error(actual, expected)
    assert error <= tolerance, f"{what}: relative error {error:.1e} > {tolerance:.0e}"
