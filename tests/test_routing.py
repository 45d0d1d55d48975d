"""Which loss trains which part: the heart of the method."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import layers, models, objectives, policies, random
from tests.comparisons import assert_close

PARTS = ("glimpse_network", "core", "location", "baseline", "classifier")
SEEING = {"glimpse_network", "core", "classifier"}
TRAINS = {
    "classification": SEEING,
    "baseline": {"baseline"},
    "reinforce": {"location"},
    "early_classification": SEEING,
}
ACTIVELY_TRAINS = {
    **TRAINS,
    "error_fit": {"error_head"},
    "uncertainty": SEEING,
    "intrinsic_belief": SEEING,
}
GLIMPSE_NETWORKS = {
    "mlp": lambda: layers.MlpGlimpse(16, 16, 32),
    "conv": lambda: layers.ConvGlimpse((6, 6, 6), 32),
}
CORES = {
    "rectifier": lambda: layers.RectifierCell(24),
    "lstm": lambda: keras.layers.LSTMCell(24),
    "gru": lambda: keras.layers.GRUCell(24),
    "pooling": lambda: layers.PoolingCell(24),
}
RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 13, 10, 1), "float32")
LABELS = np.arange(12) % 3


def make_network(glimpse_network="mlp", core="rectifier", make=models.RAM, **location):
    network = make(
        3,
        retina=layers.Retina(6, 2),
        glimpse_network=GLIMPSE_NETWORKS[glimpse_network](),
        core=CORES[core](),
        location=layers.GaussianLocation(0.2, 16, **location),
    )
    network.build(IMAGES.shape)
    return network


def gradients_by_part(network, term, num_glimpses=3, decide_last=False, policy=None):
    """Returns part -> gradients of the mean of one term, `None` where there is none."""
    with tf.GradientTape() as tape:
        rollout = models.rollout(
            network,
            policy or policies.GaussianPolicy(count_last_action=decide_last),
            network.prepare(IMAGES),
            num_glimpses,
            seed=random.make_seed(4),
            training=True,
        )
        active = isinstance(network, models.ActiveRAM)
        objective = functools.partial(objectives.ram_objective, early=True)
        objective = objectives.active_ram_objective if active else objective
        loss = tf.reduce_mean(objective(rollout, LABELS)[term])
    variables = {
        part: [v.value for v in getattr(network, part).trainable_variables]
        for part in (*PARTS, *(["error_head"] if active else []))
    }
    return tape.gradient(loss, variables)


def is_nothing(gradient):
    return gradient is None or not np.asarray(gradient).any()


def reached(gradients):
    """The parts of which some weight gets a gradient."""
    return {part for part, own in gradients.items() if not all(map(is_nothing, own))}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("glimpse_network", GLIMPSE_NETWORKS)
@pytest.mark.parametrize("term", TRAINS)
def test_each_loss_trains_its_own_parts_and_no_other(term, glimpse_network, core):
    network = make_network(glimpse_network, core)
    gradients = gradients_by_part(network, term)
    for part in PARTS:
        assert gradients[part], part
        for variable, gradient in zip(
            getattr(network, part).trainable_variables, gradients[part]
        ):
            trained = not is_nothing(gradient)
            assert trained == (part in TRAINS[term]), (part, variable.path)


@pytest.mark.parametrize("term", ACTIVELY_TRAINS)
def test_each_loss_of_active_sampling_trains_its_own_parts_and_no_other(term):
    gradients = gradients_by_part(make_network(make=models.ActiveRAM), term)
    assert set(gradients) == {*PARTS, "error_head"}
    assert reached(gradients) == ACTIVELY_TRAINS[term]


def test_the_published_head_is_trained_to_predict_less():
    network = make_network(make=models.ActiveRAM)
    network.error_head.shared = True
    gradients = gradients_by_part(network, "uncertainty")
    assert reached(gradients) == SEEING | {"error_head"}
    assert reached(gradients_by_part(network, "error_fit")) == {"error_head"}


def test_the_table_of_parts_is_complete():
    network = make_network()
    in_table = [v for part in PARTS for v in getattr(network, part).trainable_variables]
    assert {id(v) for v in in_table} == {id(v) for v in network.trainable_variables}
    assert network.retina.weights == []


@pytest.mark.parametrize("term", TRAINS)
def test_a_head_that_is_not_detached_lets_reinforce_reach_the_core(term):
    network = make_network(detach_inputs=False)
    reaches = TRAINS[term] | (
        {"glimpse_network", "core"} if term == "reinforce" else set()
    )
    assert reached(gradients_by_part(network, term)) == reaches


class PolicyWithAWeight(policies.Policy):
    """Its places depend on a variable, and nothing but the loop stops the gradient."""

    deterministic = True

    def __init__(self, weight):
        self.weight = weight

    def start(self, network, context, state, *, seed, training):
        return models.Choice(self.weight + tf.zeros((len(state["hidden"]), 2)))

    def __call__(self, network, context, state, *, seed, training):
        action = self.weight * state["hidden"][:, :2]
        return models.Choice(action, tf.reduce_sum(action, axis=1))


def test_the_places_of_glimpses_pass_nothing_back():
    network, weight = make_network(), tf.Variable([0.3, -0.2])
    with tf.GradientTape(persistent=True) as tape:
        rollout = models.rollout(
            network,
            PolicyWithAWeight(weight),
            network.prepare(IMAGES),
            3,
            seed=random.make_seed(4),
            training=True,
        )
        places = tf.reduce_sum(rollout.locations)
        hidden = tf.reduce_sum(rollout.hidden)
        log_probs = tf.reduce_sum(rollout.log_probs)
    assert tape.gradient(places, weight) is None
    assert tape.gradient(hidden, weight) is None
    assert np.abs(tape.gradient(log_probs, weight)).min() > 0


@pytest.mark.parametrize("num_glimpses", [1, 2, 4])
@pytest.mark.parametrize("decide_last", [False, True])
def test_a_decision_counts_if_a_glimpse_follows_or_it_is_asked_for(
    num_glimpses, decide_last
):
    network = make_network()
    rollout = models.rollout(
        network,
        policies.GaussianPolicy(count_last_action=decide_last),
        network.prepare(IMAGES),
        num_glimpses,
        seed=random.make_seed(4),
        training=True,
    )
    decisions = num_glimpses if decide_last else num_glimpses - 1
    assert rollout.log_probs.shape == (12, decisions)
    assert rollout.actions.shape == (12, decisions, 2)
    assert rollout.extras["baselines"].shape == (12, num_glimpses)
    rewards = np.asarray(rollout.logits)[:, -1].argmax(axis=-1) == LABELS
    assert 0 < rewards.sum() < 12
    advantages = rewards[:, None] - np.asarray(rollout.extras["baselines"])
    advantages = advantages[:, :decisions]
    terms = objectives.ram_objective(rollout, LABELS)
    reinforce = -(np.asarray(rollout.log_probs) * advantages).sum(axis=1)
    assert_close(terms["reinforce"], reinforce)
    errors = (advantages**2).sum(axis=1) / max(decisions, 1)
    assert_close(terms["baseline"], errors)


def test_the_last_decision_changes_nothing_that_came_before():
    network = make_network()

    def look(decide_last):
        return models.rollout(
            network,
            policies.GaussianPolicy(count_last_action=decide_last),
            network.prepare(IMAGES),
            3,
            seed=random.make_seed(4),
        )

    without, with_last = look(False), look(True)
    np.testing.assert_array_equal(without.locations, with_last.locations)
    np.testing.assert_array_equal(without.logits, with_last.logits)
    np.testing.assert_array_equal(without.log_probs, with_last.log_probs[:, :-1])


@pytest.mark.parametrize(
    ("decide_last", "expected"), [(False, set()), (True, {"location"})]
)
def test_one_glimpse_teaches_the_head_only_if_the_last_decision_counts(
    decide_last, expected
):
    network = make_network()
    options = {"num_glimpses": 1, "decide_last": decide_last}
    assert reached(gradients_by_part(network, "reinforce", **options)) == expected
    supervised = gradients_by_part(network, "classification", **options)
    assert reached(supervised) == TRAINS["classification"]


@pytest.mark.parametrize("control", policies.CONTROLS)
def test_a_control_decides_nothing_and_trains_the_rest(control):
    network, policy = make_network(), policies.CONTROLS[control]
    for term in ("baseline", "reinforce"):
        assert reached(gradients_by_part(network, term, policy=policy)) == set()
    supervised = gradients_by_part(network, "classification", policy=policy)
    assert reached(supervised) == TRAINS["classification"]


def test_the_return_is_one_when_the_class_after_the_last_glimpse_is_right():
    logits = np.zeros((2, 2, 3), "float32")
    logits[:, 0, 0] = logits[:, 1, 2] = 5.0  # First class 0, in the end class 2.
    rollout = models.Rollout(
        locations=None,
        hidden=None,
        logits=logits,
        actions=None,
        log_probs=np.full((2, 1), -3.0, "float32"),
        extras={"baselines": np.full((2, 2), 0.25, "float32")},
    )
    terms = objectives.ram_objective(rollout, np.array([2, 0]))
    assert_close(terms["reinforce"], [3 * 0.75, 3 * -0.25])
    assert_close(terms["baseline"], [0.75**2, 0.25**2])
    exponentials = np.exp([5.0, 0.0, 0.0])
    softmax = exponentials / exponentials.sum()
    cross_entropies = -np.log([softmax[0], softmax[1]])
    assert_close(terms["classification"], cross_entropies)
