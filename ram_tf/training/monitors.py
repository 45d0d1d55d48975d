"""Which way a log of an epoch gets better."""

from ram_tf.errors import InputError

# Logs of an epoch of which more is better, by the end of their names, and those that
# say nothing of how good a model is. The rest are losses, the terms of a phase, which
# are minimised, and `revisits`, `blank`, `seen_before` and `on_edge`.
_MORE_IS_BETTER = ("accuracy", "spread", "coverage")


_NO_MEASURES = ("images_per_second", "learning_rate")


def monitor_mode(name):
    """Whether more or less of a log of an epoch is better: `"max"` or `"min"`.

    Args:
        name: Name of the log, as `val_accuracy`, `loss` or a term of a phase.

    Raises:
        InputError: If neither is.
    """
    if name in _NO_MEASURES:
        raise InputError(
            f"{name} cannot decide what is best: expected a loss, an accuracy, a term "
            "of the phase, or spread, coverage or revisits."
        )
    gains = name.startswith("likelihood_gain")
    return "max" if gains or name.endswith(_MORE_IS_BETTER) else "min"
