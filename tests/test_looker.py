"""What looks, what it needs to look with, and what says when to stop."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ram_tf import layers, models, policies, random
from ram_tf.errors import InputError
from ram_tf.families import FAMILIES
from tests.comparisons import assert_close
from tests.contracts import (
    small_dram,
    small_fine_grained,
    small_mram,
    small_pham,
    small_ram,
)

IMAGES = np.random.default_rng(0).random((3, 16, 16, 3), "float32")
MAKERS = {
    "active_ram": lambda: small_ram(models.ActiveRAM),
    "dram": small_dram,
    "fine_grained": small_fine_grained,
    "mram": small_mram,
    "pham": small_pham,
    "ram": small_ram,
}
CONTROLS = (policies.CenterPolicy(), policies.RandomPolicy(), policies.RasterPolicy())
OF_CELLS = (
    policies.CentralCells(),
    policies.InformationGain(num_samples=2),
    policies.Oracle(),
    policies.PlannedAhead(policies.InformationGain(num_samples=1)),
    policies.RandomCells(),
)
# What each family can look by; every other policy must be refused.
OWN = {
    "active_ram": (*CONTROLS, policies.GaussianPolicy()),
    "dram": (*CONTROLS, policies.GaussianPolicy(), policies.OpeningPolicy()),
    "fine_grained": (*CONTROLS, policies.ContextPolicy()),
    "mram": (*CONTROLS, policies.GaussianPolicy()),
    "pham": (*CONTROLS, *OF_CELLS),
    "ram": (*CONTROLS, policies.GaussianPolicy()),
}
ALL = (
    *CONTROLS,
    *OF_CELLS,
    policies.GaussianPolicy(),
    policies.ContextPolicy(),
    policies.OpeningPolicy(),
)


@pytest.fixture(scope="module")
def networks():
    found = {}
    for name, make in MAKERS.items():
        keras.utils.set_random_seed(0)
        found[name] = make()
        found[name].build((None, *IMAGES.shape[1:]))
    return found


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("policy", ALL, ids=lambda policy: type(policy).__name__)
def test_a_policy_looks_through_the_networks_that_have_what_it_needs(
    name, policy, networks
):
    if policy in OWN[name]:
        looker = models.Looker(networks[name], policy, 2, xla=False, xla_sense=False)
        looked = looker.look(looker.prepare(IMAGES), random.make_seed(0))
        assert looked.locations.shape == (3, 2, 2)
        return

    def call(network, policy, num_glimpses):
        return network(IMAGES, policy=policy, num_glimpses=num_glimpses)

    for look in (models.Looker, call):
        with pytest.raises(InputError, match=type(policy).__name__) as refusal:
            look(networks[name], policy, 2)
        line = str(refusal.value)
        assert type(networks[name]).__name__ in line and "has no " in line


def test_every_family_is_here():
    assert MAKERS.keys() == OWN.keys() == FAMILIES.keys()


def test_a_plan_of_too_few_places_is_refused(networks):
    class Short(policies.Policy):
        def plan(self, network, context, state, num_glimpses, seed):
            return ops.zeros((3, 2, 2))

    looker = models.Looker(networks["ram"], Short(), 4, xla=False, xla_sense=False)
    with pytest.raises(ValueError, match="Short planned 2 places for 4 glimpses"):
        looker.look(looker.prepare(IMAGES), random.make_seed(0))


def test_a_refusal_names_what_is_missing(networks):
    with pytest.raises(InputError) as refusal:
        models.Looker(networks["ram"], policies.InformationGain(), 2)
    assert str(refusal.value) == (
        "InformationGain needs a network that imagines the features of cells that it "
        "has not seen; RAM has no cell_locations, draw_features, imagine, "
        "latent_units, lookahead, num_cells."
    )


def probabilities(looker, seeds):
    look = looker.compile(
        lambda context, seeds: ops.softmax(looker.look(context, seeds).logits)
    )
    return look(looker.prepare(IMAGES), tf.constant(seeds))


@pytest.mark.parametrize("xla", [False, True])
def test_copies_are_averaged(networks, xla):
    """Each copy with a seed of its own: as if it were looked at alone by that seed."""
    network, policy = networks["ram"], policies.GaussianPolicy()
    seeds = np.arange(12, dtype="int32").reshape(6, 2)
    looker = models.Looker(network, policy, 3, copies=2, xla=xla)
    found = probabilities(looker, seeds)
    one = models.Looker(network, policy, 3, xla=xla)
    alone = [probabilities(one, seeds[copy::2]) for copy in range(2)]
    by_copy = looker.by_copy(found)
    assert by_copy.shape == (3, 2, 3, network.num_classes)
    for copy in range(2):
        assert_close(by_copy[:, copy], alone[copy], 1e-5)
    assert_close(looker.average(found), (alone[0] + alone[1]) / 2, 1e-5)


# When to stop

RULES = {
    models.Settled: ("longer", lambda belief: 0.05 + 0.3 * (1 - belief)),
    models.LittleToGain: ("shorter", lambda belief: 1 - belief.max(axis=-1)),
    models.LittlePromise: ("shorter", lambda belief: 1 - belief.max(axis=-1)),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_looks_as_it_says_when_its_number_grows(rule):
    direction, make_evidence = RULES[rule]
    belief = np.random.default_rng(1).dirichlet(np.ones(4), (200, 5)).astype("float32")
    evidence = tf.constant(make_evidence(belief), tf.float32)
    stops = [
        np.mean(rule(epsilon)(tf.constant(belief), evidence))
        for epsilon in (0.1, 0.5, 1.0)
    ]
    assert f"looks {direction}" in rule(0.1).describe()
    grows = np.diff(stops) > 0
    assert grows.all() if direction == "shorter" else not grows.any()
    assert stops[0] != stops[-1]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("epsilon", [-0.1, float("nan")])
def test_a_number_that_cannot_be_meant_is_refused(rule, epsilon):
    with pytest.raises(InputError, match="must be 0 or more"):
        rule(epsilon)


def test_a_rule_says_when_it_stops():
    assert models.LittleToGain(0.02).describe() == (
        "little_to_gain:0.02 stops once no place promises 0.02 nats of information "
        "gain any more; a larger number looks shorter"
    )


@pytest.mark.parametrize("name", MAKERS)
def test_a_family_has_a_rule_or_says_that_it_has_none(name, networks):
    rules = {"active_ram": models.Settled, "pham": models.LittleToGain}
    if name in rules:
        assert networks[name].make_stop_rule(0.5) == rules[name](0.5)
    else:
        with pytest.raises(InputError, match="says when to stop"):
            networks[name].make_stop_rule(0.5)


def test_looking_stops_where_the_baseline_promises_little():
    rule = models.LittlePromise(0.25)
    assert "promise:0.25 stops once the baseline promises less" in rule.describe()
    promised = np.float32([[0.5, 0.2, 0.3], [0.25, -1.0, 0.0]])
    assert rule.evidence({}) is None
    evidence = rule.evidence({"baselines": promised})
    stops = rule(np.zeros((2, 3, 4)), evidence)
    assert np.asarray(stops).tolist() == [[False, True, False], [False, True, True]]


def test_no_image_is_looked_at_longer_than_its_baseline_promises():
    network = models.RAM(4, retina=layers.Retina(6), core=layers.RectifierCell(8))
    images = np.random.default_rng(0).random((12, 10, 12, 1), "float32")
    network.build(images.shape)
    kernel = np.random.default_rng(1).normal(size=(8, 1))
    network.baseline.value.kernel.assign(kernel)
    network.baseline.value.bias.assign([9.0])  # A bound is no less than 0.
    policy = policies.GaussianPolicy(sample=False)
    looked = network(images, policy=policy, num_glimpses=5)
    promised = np.asarray(looked.extras["baselines"])
    bound = np.median(promised[:, :2])
    expected = np.argmax(promised < bound, axis=1) + 1
    expected[~(promised[:, :4] < bound).any(axis=1)] = 5
    looker = models.DynamicLooker(network, policy, 5, models.LittlePromise(bound))
    found = looker(images)
    assert found["num_glimpses"].tolist() == expected.tolist()
    assert len(set(expected)) > 1
    beliefs = np.asarray(tf.nn.softmax(looked.logits))[np.arange(12), expected - 1]
    np.testing.assert_allclose(found["probabilities"], beliefs, atol=1e-5)


def test_a_rule_is_named_or_its_number_alone_is_given(networks):
    network = networks["pham"]
    assert network.stop_number("little_to_gain:0.02") == 0.02
    assert network.stop_number(0.02) == network.stop_number("0.02") == 0.02
    with pytest.raises(InputError, match="no stop rule 'settled': expected 'little_to"):
        network.stop_number("settled:2")
    with pytest.raises(InputError, match="no stop rule 'settled': expected none"):
        networks["ram"].stop_number("settled:2")
    with pytest.raises(InputError, match="takes a number"):
        network.stop_number("little_to_gain:much")
