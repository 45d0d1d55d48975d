"""The recurrent attention model on one page: the digits, from nothing to a score.

This is what `python train.py` does with one reward after the last look, as published,
without anything around it: plain Keras, a loop and a gradient tape, with this package's
layers. Read it from top to bottom.
`tests/test_one_page.py` holds its first ten updates equal to those of the library.

Command: python docs/one_page.py
"""

import keras
import tensorflow as tf
from keras import ops

from ram_tf import data, random
from ram_tf.layers import (
    GaussianLocation,
    MlpGlimpse,
    RectifierCell,
    Retina,
    ValueBaseline,
)

NUM_GLIMPSES = 6
BATCH_SIZE = 128
EPOCHS, STEPS_PER_EPOCH = 15, 200
SEED = 0


class Looker(keras.Model):
    """Sees an image through six glimpses, and never the whole of it."""

    def __init__(self, num_classes):
        super().__init__()
        # What the eye delivers at one place: 8x8 pixels, and 16x16 averaged to 8x8.
        self.retina = Retina(size=8, num_scales=2)
        # What was seen and where it was seen, mixed into 256 features.
        self.glimpse_network = MlpGlimpse(128, 128, 256)
        # What is remembered: relu(W features + V memory).
        self.core = RectifierCell(256)
        # What the memory is asked: what is it, where next, and how well will this go?
        self.classifier = keras.layers.Dense(num_classes)
        self.location = GaussianLocation(stddev=0.1, hidden_units=128)
        self.baseline = ValueBaseline()

    def call(self, images, seed):
        """Looks at each image, and says what was decided on the way.

        Returns:
            logits: `(batch, classes)`, after the last glimpse.
            log_probs: `(batch, 5)`, log-densities of the places that were chosen.
            baselines: `(batch, 5)`, the return that was expected at each choice.
            locations: `(batch, 6, 2)`, where it looked.
        """
        batch_size = ops.shape(images)[0]
        seeds = random.rollout_seeds(seed, NUM_GLIMPSES)
        states = self.core.get_initial_state(batch_size)
        # The first place is drawn from the whole image: nothing is known yet.
        location = random.uniform((batch_size, 2), seeds.start, -1.0, 1.0)
        locations, log_probs, baselines = [], [], []
        for step in range(NUM_GLIMPSES):
            # A place outside the image is moved to its edge; no gradient passes here.
            location = ops.stop_gradient(ops.clip(location, -1.0, 1.0))
            locations.append(location)
            glimpse = self.retina(images, location)
            features = self.glimpse_network(glimpse, location)
            memory, states = self.core(features, states)
            if step < NUM_GLIMPSES - 1:
                # The next place is drawn from a Gaussian whose mean the memory says.
                # This head and the baseline stop the gradient at the memory.
                location, log_prob = self.location(
                    memory, training=True, seed=seeds.decide[step]
                )
                log_probs.append(log_prob)
                baselines.append(self.baseline(memory))
        return (
            self.classifier(memory),
            ops.stack(log_probs, axis=1),
            ops.stack(baselines, axis=1),
            ops.stack(locations, axis=1),
        )


def hybrid_loss(logits, log_probs, baselines, labels):
    """Returns what each example adds to the loss, `(batch,)`: three terms."""
    # 1. Say what it is: this trains the glimpse network, the core and the classifier.
    classification = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    # 2. Expect what will come: this trains the baseline.
    predicted = ops.argmax(logits, axis=-1)
    right = ops.cast(ops.equal(predicted, labels), "float32")[:, None]
    error = ops.mean(ops.square(baselines - right), axis=1)
    # 3. Look where it goes better than expected (REINFORCE): no gradient passes through
    # the place of a glimpse, so the head learns from the log-density of its own draws,
    # times what was gained over the expectation. This trains the location head.
    advantage = ops.stop_gradient(right - baselines)
    reinforce = -ops.sum(log_probs * advantage, axis=1)
    return classification + error + reinforce


@tf.function(jit_compile=True, autograph=False)
def find_gradients(model, images, labels, step):
    """One batch: its loss, and the gradient of it for every trainable weight."""
    # The noise of a step comes from its number: a run can be repeated, or resumed.
    seed = random.make_seed(SEED, step, 0)
    with tf.GradientTape() as tape:
        logits, log_probs, baselines, _ = model(images, seed)
        loss = ops.mean(hybrid_loss(logits, log_probs, baselines, labels))
    gradients = tape.gradient(loss, model.trainable_variables)
    # A lucky or unlucky batch must not throw the weights away.
    gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
    return loss, gradients


@tf.function(autograph=False)
def update(model, optimizer, images, labels, step):
    """Changes the weights once, and returns the loss before."""
    loss, gradients = find_gradients(model, images, labels, step)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss


def make_optimizer():
    """Adam, from 0.001 down to 0 along half a cosine."""
    total = EPOCHS * STEPS_PER_EPOCH
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, total))


@tf.function(jit_compile=True, autograph=False)
def believe(model, images, seed):
    """What the model believes after its last glimpse, `(batch, classes)`."""
    return ops.softmax(model(images, seed)[0])


def measure(model, batches, num_samples=1):
    """The share of right classes when several ways of looking are averaged."""
    right, count = 0.0, 0.0
    for images, labels, weights in batches:  # The weight of a filled-up row is 0.
        belief = sum(
            believe(model, images, random.make_seed(SEED, -1, sample))
            for sample in range(num_samples)
        )
        correct = ops.equal(ops.argmax(belief, axis=-1), labels)
        right += float(ops.sum(ops.cast(correct, "float32") * weights))
        count += float(ops.sum(weights))
    return right / count


def main():
    keras.utils.set_random_seed(SEED)
    digits = data.load("digits", None, digit_size=24, canvas=(40, 40), test_places=4)
    model, optimizer = Looker(num_classes=10), make_optimizer()
    total = EPOCHS * STEPS_PER_EPOCH
    batches = digits.train_batches(BATCH_SIZE, seed=SEED, num_steps=total)
    for step, (images, labels) in enumerate(batches):
        if step == 0:
            model(images, random.make_seed(SEED))  # Once, so that every weight exists.
            optimizer.build(model.trainable_variables)
        loss = update(model, optimizer, images, labels, tf.constant(step))
        if (step + 1) % STEPS_PER_EPOCH == 0:
            score = measure(model, digits.eval_batches("validation", 360))
            print(f"step {step + 1}: loss {float(loss):.3f}, validation {score:.2%}")
    score = measure(model, digits.eval_batches("test", 360), num_samples=10)
    print(f"test, ten samples averaged: {score:.2%}")


if __name__ == "__main__":
    main()
