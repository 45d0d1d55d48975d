"""Measures in words."""

import numpy as np


def format_accuracy(accuracy, num_examples):
    """`98.77 % (9877/10000)`: of one run, a mean over several being no count."""
    correct = round(accuracy * num_examples)
    return f"{100 * accuracy:.2f} % ({correct}/{num_examples})"


def format_places(places, scales=None):
    """Writes locations `(glimpses, 2)` as "(x,y) (x,y)", without those never looked at.

    Those are NaN. With scales `(glimpses,)`, as "(x,y,scale)", of locations of 3.
    """
    if scales is not None:
        places = np.column_stack([places[:, :2], scales])
    places = np.round(places[~np.isnan(places[:, 0])], 3) + 0.0  # No "-0.000".
    return " ".join(
        f"({','.join(f'{each:.3f}' for each in place)})" for place in places
    )


def describe_shape(image_shape):
    """Says (height, width, channels); of windows the first two are `None`."""
    if None in image_shape:
        return f"any size and {image_shape[-1]} channel(s), read in windows"
    return "x".join(map(str, image_shape))
