"""Floating-point operations of a rollout and of a training step."""

import contextlib

import tensorflow as tf

from ram_tf import models, policies, random
from ram_tf.errors import InputError

_COUNTED = ("MatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative")


# What a rollout takes, one by one.
def forward_flops(
    network,
    policy,
    num_glimpses,
    image_shape,
    reading=None,
    training=False,
    samples=1,
):
    """Floating-point operations of one image's rollout: products and convolutions.

    A convolution that a layer computes with fewer products counts as a direct one.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int.
        image_shape: `(height, width, channels)`.
        reading: Options of the network's `read`, or `None`.
        training: Boolean. What a training step computes.
        samples: Int. Rollouts of the image, which share what is prepared once.
    """

    def look(images, num_glimpses):
        return models.rollout(
            network,
            _Unrolled(policy),
            network.prepare(images),
            num_glimpses,
            seed=random.make_seed(0),
            training=training,
            reading=reading,
        ).logits

    def looks(num_glimpses):
        return _flops(network, lambda images: look(images, num_glimpses), image_shape)

    if num_glimpses == 1 or training:  # Training need not do the same every glimpse.
        once = looks(num_glimpses)
    else:
        once = looks(1) + (num_glimpses - 1) * (looks(2) - looks(1))
    if samples == 1:
        return once
    prepared = _flops(
        network,
        lambda images: network.begin(network.prepare(images), num_glimpses),
        image_shape,
    )
    return samples * once - (samples - 1) * prepared


def refuse_windows(image_shape):
    """Raises an `InputError` of images that are read in windows."""
    if None in image_shape:
        raise InputError(
            "this benchmark computes on images in memory, and these are read in "
            "windows: measure reading them with tools/benchmark.py --windows."
        )


def _flops(network, function, image_shape):
    """Operations of a function of images on each, without what is done but once."""
    counts = []
    for batch_size in (1, 2):
        images = tf.TensorSpec((batch_size, *image_shape), tf.uint8)
        with _saved_flops(network) as saved:
            traced = tf.function(function, autograph=False)
            graph = traced.get_concrete_function(images).graph
        counts.append(sum(saved) + _graph_flops(graph))
    return counts[1] - counts[0]


def _graph_flops(graph):
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(
        profiler.ProfileOptionBuilder.float_operation()
    )
    by_type = profiler.profile(
        graph, cmd="op", options=options.with_empty_output().build()
    )
    return sum(
        node.total_float_ops - sum(child.total_float_ops for child in node.children)
        for node in _walk(by_type)
        if node.name in _COUNTED
    )


def step_flops(trainer, image_shape):
    """Floating-point operations of one image in a training step, in all its copies.

    Three forward passes; a policy that plans ahead without gradients adds one of its
    own, and a frozen backbone has but one.
    """
    policy, planned, samples = trainer.policy, 0, trainer.mc_samples
    if policy.path_of is not None:
        planned = forward_flops(
            trainer.attention,
            policy.path_of,
            trainer.num_glimpses,
            image_shape,
            samples=samples,
        )
        policy = policies.RandomPolicy()  # The glimpses once they are known.
    looked = forward_flops(
        trainer.attention,
        policy,
        trainer.num_glimpses,
        image_shape,
        trainer.phase.reading,
        training=True,
        samples=samples,
    )
    forward_alone = _flops(
        trainer.attention,
        lambda images: frozen_pass(trainer, images.shape[0]),
        image_shape,
    )
    return planned + 3 * looked - 2 * forward_alone


class _Unrolled:
    """A policy whose rollout is unrolled: operations inside a loop are not counted."""

    unroll = True

    def __init__(self, policy):
        self._policy = policy

    def __getattr__(self, name):
        return getattr(self._policy, name)

    def __call__(self, *args, **kwargs):
        return self._policy(*args, **kwargs)


@contextlib.contextmanager
def _saved_flops(network):
    """Collects, call by call, what layers with a fast algorithm save."""
    saved = []
    fast = [x for x in network._flatten_layers() if hasattr(x, "saved_flops")]

    def counted(layer, call):
        def count_and_call(inputs):
            saved.append(inputs.shape[0] * layer.saved_flops)
            return call(inputs)

        return count_and_call

    for layer in fast:
        layer.call = counted(layer, layer.call)
    try:
        yield saved
    finally:
        for layer in fast:
            del layer.call


def _walk(node):
    yield node
    for child in node.children:
        yield from _walk(child)


def frozen_pass(trainer, num_images):
    """What a step computes without gradients, or `None`: see `without_gradients`."""
    glimpses = trainer.mc_samples * trainer.num_glimpses
    return trainer.attention.without_gradients(num_images, glimpses)
