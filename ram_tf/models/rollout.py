"""The loop of hard attention: sense, encode, integrate, choose, and read at the end."""

import keras
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.models.outputs import Choice, Rollout
from ram_tf.ops import clip_locations, repeat_examples


# The one loop of all families, to be read from top to bottom.
def rollout(
    network,
    policy,
    context,
    num_glimpses,
    *,
    seed,
    training=False,
    reading=None,
    sense=None,
    compile_thought=None,
    copies=1,
):
    """Looks `num_glimpses` times at every image of a batch.

    A policy that knows its places beforehand (`policy.plan`) has all its glimpses
    sensed and encoded in one call; one that stays where it is, a single time.

    Args:
        network: An `AttentionModel`, built.
        policy: Where to look (`ram_tf.policies`).
        context: What `network.prepare(images)` returned.
        num_glimpses: Int >= 1, static.
        seed: Int32 tensor `(2,)`, the source of all randomness of this rollout.
        training: Boolean, passed to the network's layers.
        reading: Dictionary of options for `network.read`, or `None`.
        sense: What to call as `network.sense`, compiled for example, or `None`.
        compile_thought: Function that compiles all that follows the sensing of a
            glimpse, up to where to look next, where sensing is not to be compiled; or
            `None`.
        copies: Int. Each image is looked at so often, each time with its own noise:
            what is computed once an image is copied, and not computed again.

    Returns:
        A `Rollout` of all copies, those of one image side by side.
    """
    network.check_glimpses(num_glimpses)
    (context,) = repeat_examples(copies, network.begin(context, num_glimpses))
    state = network.initial_state(context)
    batch_size = ops.shape(state["hidden"])[0]
    seeds = random.rollout_seeds(seed, num_glimpses)
    sense = sense or network.sense
    compile_thought = compile_thought or _as_it_is
    start, plan = first_choice(
        network, policy, context, state, num_glimpses, seeds.start, training
    )
    if plan is None:

        @compile_thought
        def think(glimpses, location, state, decide_seed):
            features = network.encode(glimpses, location[:, None], training=training)
            state = network.integrate(
                _at_step(features, 0), location, state, training=training
            )
            choice = None
            if decide_seed is not None:
                choice = policy(
                    network, context, state, seed=decide_seed, training=training
                )
            return state, choice

        def step(state, action, sense_seed, decide_seed):
            location = ops.stop_gradient(clip_locations(action))
            glimpses = sense(context, location[:, None], seed=sense_seed)
            return location, *think(glimpses, location, state, decide_seed)

        last_seed = seeds.decide[-1] if policy.count_last_action else None
        decide_seeds = [*seeds.decide[:-1], last_seed]
        looped = not policy.unroll and not training
        run = _loop if looped else _unroll
        locations, states, choices = run(
            step, state, start.action, seeds.sense, decide_seeds
        )
    else:
        plan = clip_locations(plan)

        @compile_thought
        def think(glimpses, plan, state):
            features = network.encode(glimpses, plan, training=training)
            locations, states = [], []
            for index in range(num_glimpses):
                place = min(index, plan.shape[1] - 1)
                location, seen = plan[:, place], _at_step(features, place)
                state = network.integrate(seen, location, state, training=training)
                locations.append(location)
                states.append(state)
            return locations, states

        glimpses = sense(context, plan, seed=seeds.sense[0])
        locations, states = think(glimpses, plan, state)
        choices = []
    recorded = {
        name: ops.stack([state[name] for state in states], axis=1)
        for name in ("hidden", *network.recorded)
    }
    hidden = recorded.pop("hidden")
    read = network.read(hidden, training=training, seed=seeds.start, **(reading or {}))
    decisions = [c for c in (start, *choices) if c.log_prob is not None]
    return Rollout(
        locations=ops.stack(locations, axis=1),
        hidden=hidden,
        logits=read.pop("logits"),
        actions=_stack(
            [c.action for c in decisions], (batch_size, 0, network.num_coordinates)
        ),
        log_probs=_stack([c.log_prob for c in decisions], (batch_size, 0)),
        extras={**recorded, **read, **_stack_extras(decisions)},
    )


# What a policy is asked with.
def first_choice(network, policy, context, state, num_glimpses, seed, training=False):
    """The `Choice` of the first glimpse, and the plan of all places or `None`."""
    plan = policy.plan(network, context, state, num_glimpses, seed)
    if plan is not None:
        _check_numbers(network, policy, plan)
        if plan.shape[1] not in (1, num_glimpses):
            raise ValueError(
                f"{type(policy).__name__} planned {plan.shape[1]} places for "
                f"{num_glimpses} glimpses: `plan` gives one for each, or one for all."
            )
        return Choice(plan[:, 0]), plan
    start = policy.start(network, context, state, seed=seed, training=training)
    _check_numbers(network, policy, start.action)
    return start, None


def _check_numbers(network, policy, places):
    if places.shape[-1] != network.num_coordinates:
        raise ValueError(
            f"{type(policy).__name__} says where in {places.shape[-1]} numbers, and "
            f"{type(network).__name__} with zoom={network.zoom} takes "
            f"{network.num_coordinates}: see `policies.at_middle_scale`."
        )


# What a policy is asked with.
def next_choice(network, policy, context, state, plan, step, seed):
    """The `Choice` after glimpse `step`, an int tensor, scalar or `(batch,)`."""
    if plan is None:
        return policy(network, context, state, seed=seed, training=False)
    batch_size, num_places = ops.shape(state["hidden"])[0], plan.shape[1]
    following = ops.minimum(step + 1, num_places - 1)
    following = ops.broadcast_to(following, (batch_size,))
    return Choice(tf.gather(plan, following, axis=1, batch_dims=1))


# What a step of the loop works with.
def take_glimpse(network, context, location, state, seed):
    """Looks once at each image: the state after a glimpse at a `location`."""
    glimpses = network.sense(context, location[:, None], seed=seed)
    features = network.encode(glimpses, location[:, None], training=False)
    return network.integrate(_at_step(features, 0), location, state, training=False)


def _as_it_is(function):
    return function


def _unroll(step, state, action, sense_seeds, decide_seeds):
    """Runs `step` once a glimpse; returns lists of locations, states and choices."""
    steps = []
    for seeds in zip(sense_seeds, decide_seeds):
        steps.append(step(state, action, *seeds))
        _, state, choice = steps[-1]
        if choice is not None:
            action = choice.action
    locations, states, choices = zip(*steps)
    return locations, states, [choice for choice in choices if choice is not None]


def _loop(step, state, action, sense_seeds, decide_seeds):
    """Does what `_unroll` does in a loop of the graph, compiled once for all steps."""
    if len(sense_seeds) == 1:
        return _unroll(step, state, action, sense_seeds, decide_seeds)

    # Traced to know what a policy's choice consists of, and not again for the loop.
    traced = tf.function(step, autograph=False)
    _, _, choice = keras.tree.map_structure(
        lambda like: ops.zeros((ops.shape(action)[0], *like.shape[1:]), like.dtype),
        traced.get_concrete_function(
            state, action, sense_seeds[0], decide_seeds[0]
        ).structured_outputs,
    )
    steps = tf.scan(
        lambda carry, seeds: traced(carry[1], carry[2].action, *seeds),
        (ops.stack(sense_seeds[:-1]), ops.stack(decide_seeds[:-1])),
        (action, state, choice._replace(action=action)),
    )
    steps = [
        keras.tree.map_structure(lambda tensor, index=index: tensor[index], steps)
        for index in range(len(sense_seeds) - 1)
    ]
    locations, states, choices = map(list, zip(*steps))
    last = _unroll(
        step, states[-1], choices[-1].action, sense_seeds[-1:], decide_seeds[-1:]
    )
    return [*locations, *last[0]], [*states, *last[1]], [*choices, *last[2]]


def _at_step(features, step):
    return keras.tree.map_structure(lambda tensor: tensor[:, step], features)


def _stack(tensors, shape_if_empty):
    return ops.stack(tensors, axis=1) if tensors else ops.zeros(shape_if_empty)


def _stack_extras(choices):
    names = choices[0].extras if choices else ()
    return {
        name: ops.stack([choice.extras[name] for choice in choices], axis=1)
        for name in names
    }
