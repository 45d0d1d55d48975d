"""Of which training images it is known where what they show lies."""

import numpy as np

from ram_tf.errors import InputError

# Added to the run's seed, which also chooses validation images.
KNOWN_SEED = 1_412_7755


def choose_known(share, num_examples, seed):
    """Chooses images by `seed` alone; a larger share has those of a smaller one.

    Args:
        share: Float in [0, 1], `data.known_places`.
        num_examples: Integer, number of training images.
        seed: Integer.

    Returns:
        known: Boolean array `(num_examples,)`, or `None` of no share.
        notes: Tuple of lines about it.

    Raises:
        InputError: If the share is none.
    """
    if not 0 <= share <= 1:
        raise InputError(f"`data.known_places` must lie in [0, 1]. Received: {share}.")
    if not share:
        return None, ()
    count = max(round(share * num_examples), 1)
    order = np.random.default_rng((KNOWN_SEED, seed % 2**64)).permutation(num_examples)
    known = np.zeros(num_examples, bool)
    known[order[:count]] = True
    return known, (
        f"places are known of {count:,} of {num_examples:,} training images",
    )
