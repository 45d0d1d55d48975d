"""Where a policy that counts the next glimpse alone learns nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, objectives
from ram_tf.models import Rollout
from ram_tf.objectives import Credit

# Nine places, in rows of three; the squares lie at the left and right of the middle.
CENTRE, LEFT, RIGHT = 4, 3, 5
PLACES, COPIES = 9, 8


def believed(images, looks):
    """Logits `(batch, time, 2)` of who has looked at those places and knows the rule.

    Until it has seen both squares, a class is as probable as the other.
    """
    middle = images.shape[1] // 2
    squares = images[:, middle, :: images.shape[2] - 1, 0] > 200
    differ = tf.where(squares[:, 0] != squares[:, 1], 8.0, -8.0)
    seen = [
        tf.cumsum(tf.cast(looks == place, "float32"), axis=1) > 0
        for place in (LEFT, RIGHT)
    ]
    sure = tf.where(seen[0] & seen[1], differ[:, None], 0.0)
    return tf.stack([tf.zeros_like(sure), sure], axis=-1)


def learn(returns, gamma, steps=150, num_images=64):
    """Learns which two places to look at after the centre.

    Returns:
        The accuracy, and the probabilities `(2, places)` of both decisions.
    """
    test = data.xor(num_train=8, num_test=num_images).test
    images = np.repeat(test.images, COPIES, axis=0)
    labels = np.repeat(test.labels, COPIES)
    table = tf.Variable(tf.zeros((2, PLACES)))
    credit = Credit(gamma, copies=COPIES)

    @tf.function(autograph=False)
    def gradient(step):
        with tf.GradientTape() as tape:
            logs = tf.nn.log_softmax(table)
            seed = tf.stack([step, 0])
            drawn = tf.random.stateless_categorical(logs, len(images), seed)
            looks = tf.pad(
                tf.transpose(drawn), [[0, 0], [1, 0]], constant_values=CENTRE
            )
            rollout = Rollout(
                locations=None,
                hidden=None,
                logits=believed(images, looks),
                actions=None,
                log_probs=tf.transpose(tf.gather(logs, drawn, axis=1, batch_dims=1)),
                extras={"baselines": tf.zeros((len(images), 3))},
            )
            terms = objectives.ram_objective(rollout, labels, returns, credit)
            loss = tf.reduce_mean(terms["reinforce"])
        return tape.gradient(loss, table)

    optimizer = keras.optimizers.Adam(0.1)
    for step in tf.range(steps):
        optimizer.apply_gradients([(gradient(step), table)])
    probabilities = np.asarray(tf.nn.softmax(table))
    both = probabilities[0, LEFT] * probabilities[1, RIGHT]
    both += probabilities[0, RIGHT] * probabilities[1, LEFT]
    return 0.5 + 0.5 * both, probabilities


@pytest.mark.slow
@pytest.mark.parametrize("returns", [objectives.log_gain, objectives.gain])
def test_greedy_gains_stay_near_chance_and_gains_to_come_do_not(returns):
    greedy, places = learn(returns, gamma=0.0)
    # Nothing tells the first decision where to look, so it goes on looking anywhere.
    assert greedy < 0.65
    assert places[1, [LEFT, RIGHT]].sum() > 0.9  # The second one, which pays, learned.
    learned, _ = learn(returns, gamma=1.0)
    assert learned > 0.95
