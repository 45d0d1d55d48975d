"""What the benchmark divides by: operations counted by hand."""

import dataclasses
import runpy

import pytest

from ram_tf import benchmark, experiment, families, models, policies, training
from ram_tf.errors import InputError
from tests.contracts import small_fine_grained, small_pham, small_ram
from tests.test_configs import config_named

SHAPE = (8, 10, 1)  # 3x4 cells of 4x4
CELLS, FEATURES, LATENTS, HIDDEN, CLASSES = 12, 6, 5, 8, 4

# Direct convolutions of one latent vector: 1x1 to 3x3, to 5x5 cropped to 3x4, and six
# with replicated borders. In the second, output o has the pairs input + tap = o.
ROWS, COLUMNS = 2 + 3 + 2, 1 + 2 + 3 + 2
DECODER = 2 * (
    9 * LATENTS * FEATURES + ROWS * COLUMNS * FEATURES**2 + 6 * 9 * CELLS * FEATURES**2
)


@pytest.fixture(scope="module")
def pham():
    network = small_pham(num_flows=0)
    network.build((None, *SHAPE))
    return network


def count(network, policy, num_glimpses=4, **options):
    return benchmark.forward_flops(network, policy, num_glimpses, SHAPE, **options)


IMAGINE = {"reading": {"imagine": True}}


@pytest.fixture(scope="module")
def imagined(pham):
    return count(pham, policies.RandomCells(), **IMAGINE)


@pytest.fixture(scope="module")
def planned(pham):
    return count(pham, policies.InformationGain(1))


@pytest.mark.slow
def test_imagining_costs_its_products_and_direct_convolutions(pham, imagined):
    looked = count(pham, policies.RandomCells())
    posterior = 2 * (HIDDEN * HIDDEN + HIDDEN * 2 * LATENTS)
    assert imagined - looked == 4 * (posterior + DECODER)


@pytest.mark.slow
def test_a_sample_more_costs_a_decoder_and_a_lookahead_to_every_cell(pham, planned):
    two = count(pham, policies.InformationGain(2))
    lookahead = 2 * CELLS * (FEATURES * HIDDEN + HIDDEN * CLASSES)
    assert two - planned == 3 * (DECODER + lookahead)


@pytest.mark.slow
def test_the_network_is_as_before_after_counting(pham, imagined):
    call = type(pham.partial_vae.decoder).call
    assert pham.partial_vae.decoder.call.__func__ is call


@pytest.mark.slow
def test_a_step_is_three_forward_passes_and_one_plan(pham, imagined, planned):
    phase = families.FAMILIES["pham"].phase("third")
    policy = policies.PlannedAhead(policies.InformationGain(1))
    trainer = training.Trainer(pham, phase, policy, 4, xla=False)
    assert benchmark.step_flops(trainer, SHAPE) == 3 * imagined + planned


@pytest.mark.slow
def test_imagining_after_some_glimpses_costs_as_many(pham):
    some = small_pham(num_flows=0, imagined_steps=1)
    some.build((None, *SHAPE))
    full, fewer = (
        count(network, policies.RandomCells(), 2, training=True, **IMAGINE)
        for network in (pham, some)
    )
    posterior = 2 * (HIDDEN * HIDDEN + HIDDEN * 2 * LATENTS)
    assert full - fewer == posterior + DECODER


@pytest.mark.slow
def test_every_glimpse_costs_the_same_of_the_recurrent_model():
    """What is worked out from two glimpses is what counting all of them gives."""
    network = small_ram()
    network.build((None, *SHAPE))
    policy = policies.GaussianPolicy()
    worked_out, counted = (
        count(network, policy, 3, training=all_of_them) for all_of_them in (False, True)
    )
    assert isinstance(network, models.RAM) and worked_out > 0
    assert worked_out == counted


@pytest.mark.parametrize("samples", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_frozen_backbone_is_run_forward_alone(samples):
    phase = families.FAMILIES["fine_grained"].phase("attend")
    flops = []
    for frozen in ((), ("backbone",)):
        network = small_fine_grained()
        network.build((None, 16, 16, 3))
        own_phase = dataclasses.replace(phase, frozen=frozen)
        trainer = training.Trainer(
            network, own_phase, phase.policy(), 2, mc_samples=samples, xla=False
        )
        flops.append(benchmark.step_flops(trainer, (16, 16, 3)))
    patches = 1 + samples * 2 * 2  # The whole once, two scales of two glimpses.
    backbone = 2 * 4 * 4 * (3 * 3 * 3 * 6)  # Of 8x8 pixels every second place.
    assert flops[0] - flops[1] == 2 * patches * backbone


@pytest.mark.slow
def test_a_sample_more_does_not_see_the_whole_again():
    network = small_fine_grained()
    network.build((None, 16, 16, 3))
    policy = policies.CenterPolicy()
    one, two = (
        benchmark.forward_flops(network, policy, 2, (16, 16, 3), samples=samples)
        for samples in (1, 2)
    )
    whole = 2 * 4 * 4 * (3 * 3 * 3 * 6)
    assert one - (two - one) == whole


@pytest.mark.slow
def test_the_networks_that_ram_is_compared_with_compute_as_much(root, monkeypatch):
    config = config_named("ram_mnist", monkeypatch)
    variants = runpy.run_path(str(root / "configs/variants/controls.py"))["VARIANTS"]
    shape, cost = (28, 28, 1), {}
    for name in ("learned", "whole_image_cnn", "downsampled_cnn"):
        varied = experiment.vary(config, variants[name])
        cost[name] = benchmark.forward_flops(
            experiment.build_network(varied, shape, 10),
            experiment.build_policies(varied)["learned"],
            varied.train.num_glimpses,
            shape,
        )
    for name in ("whole_image_cnn", "downsampled_cnn"):
        assert cost[name] == pytest.approx(cost["learned"], rel=0.15)


@pytest.mark.slow
def test_each_replica_computes_its_part_of_a_batch(monkeypatch):
    config = config_named("ram_digits", monkeypatch)
    config.runtime.update({"strategy": "mirrored", "xla": False})
    config.train.batch_size = 8
    sizes, step = set(), training.Trainer.train_step

    def watch(trainer, data):
        sizes.add(data[0].shape[0])
        return step(trainer, data)

    monkeypatch.setattr(training.Trainer, "train_step", watch)
    options = {"image_size": (12, 12), "repeats": 1, "report": lambda line: None}
    assert benchmark.run(config, **options)["batch_size"] == 8
    assert sizes == {4}
    config.train.batch_size = 7
    with pytest.raises(InputError, match="7 cannot be divided among 2 replicas"):
        benchmark.run(config, **options)
