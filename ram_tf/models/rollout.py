"""The loop of hard attention: sense, encode, integrate, choose, and read at the end."""

from keras import ops

from ram_tf import random
from ram_tf.models.outputs import Rollout
from ram_tf.ops import clip_locations


def rollout(
    network,
    policy,
    context,
    num_glimpses,
    *,
    seed,
    training=False,
    decide_last=False,
    classify_last=None,
):
    """Looks `num_glimpses` times at every image of a batch.

    A policy that knows its places beforehand (`policy.plan`) has all its glimpses
    sensed and encoded in one call.

    Args:
        network: An `AttentionModel`, built.
        policy: Where to look (`ram_tf.policies`).
        context: What `network.prepare(images)` returned.
        num_glimpses: Int >= 1, static.
        seed: Int32 tensor `(2,)`, the source of all randomness of this rollout.
        training: Boolean, passed to the network's layers.
        decide_last: Boolean. Ask the policy after the last glimpse too, though no
            glimpse follows.
        classify_last: Int or `None`. Compute the logits of only so many last glimpses.

    Returns:
        A `Rollout`.
    """
    if num_glimpses < 1:
        raise ValueError(f"`num_glimpses` must be at least 1. Received: {num_glimpses}")
    seeds = [random.fold_in(seed, step) for step in range(2 * num_glimpses + 1)]
    context = network.begin(context, num_glimpses)
    state = network.initial_state(context)
    batch_size = ops.shape(state["hidden"])[0]
    plan = policy.plan(batch_size, num_glimpses, seeds[-1])
    choices = []
    if plan is None:
        choices.append(policy.start(network, state, seed=seeds[-1], training=training))
    else:
        plan = clip_locations(plan)
        features = _look(network, context, plan, seeds[0], training)
    locations, hidden = [], []
    for step in range(num_glimpses):
        if plan is None:
            location = ops.stop_gradient(clip_locations(choices[-1].action))
            seen = _look(network, context, location[:, None], seeds[step], training)
            seen = seen[:, 0]
        else:
            location, seen = plan[:, step], features[:, step]
        state = network.integrate(seen, location, state, training=training)
        locations.append(location)
        hidden.append(state["hidden"])
        if plan is None and (decide_last or step + 1 < num_glimpses):
            step_seed = seeds[num_glimpses + step]
            choices.append(policy(network, state, seed=step_seed, training=training))
    hidden = ops.stack(hidden, axis=1)
    read = network.read(hidden, training=training, classify_last=classify_last)
    decisions = [choice for choice in choices if choice.log_prob is not None]
    return Rollout(
        locations=ops.stack(locations, axis=1),
        hidden=hidden,
        logits=read.pop("logits"),
        actions=_stack([c.action for c in decisions], (batch_size, 0, 2)),
        log_probs=_stack([c.log_prob for c in decisions], (batch_size, 0)),
        extras={**read, **_stack_extras(decisions)},
    )


def _look(network, context, locations, seed, training):
    glimpses = network.sense(context, locations, seed=seed)
    return network.encode(glimpses, locations, training=training)


def _stack(tensors, shape_if_empty):
    return ops.stack(tensors, axis=1) if tensors else ops.zeros(shape_if_empty)


def _stack_extras(choices):
    names = choices[0].extras if choices else ()
    return {
        name: ops.stack([choice.extras[name] for choice in choices], axis=1)
        for name in names
    }
