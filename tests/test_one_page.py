"""The page that a teacher shows is the library, without what is around it."""

import runpy

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import experiment, random
from ram_tf.families import find_family
from ram_tf.training.optimizers import make_optimizer
from tests.comparisons import assert_close
from tests.conftest import ROOT

PARTS = ("glimpse_network", "core", "location", "baseline", "classifier")


@pytest.fixture
def eagerly():
    """Compiling two steps takes longer than the few that are compared."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def weights_of(model):
    parts = [getattr(model, name).trainable_variables for name in PARTS]
    assert sum(map(len, parts)) == len(model.trainable_variables)
    return np.concatenate([np.ravel(each) for part in parts for each in part])


def make_library_trainer(config, dataset):
    """What `python train.py` trains, without its workdir."""
    (phase,) = find_family(config.family).phases
    network = experiment.build_network(config, dataset.image_shape, 10)
    trainer = experiment.build_trainer(config, phase, network)
    steps = config.train.steps_per_epoch
    optimizer, _ = make_optimizer(
        config.train.learning_rate,
        config.train.schedule.to_dict(),
        total_steps=config.train.epochs * steps,
        steps_per_epoch=steps,
    )
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


@pytest.mark.slow
def test_its_first_ten_updates_are_those_of_the_library(eagerly, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "configs"))
    page = runpy.run_path(str(ROOT / "docs" / "one_page.py"))
    config = runpy.run_path(str(ROOT / "configs" / "ram_digits.py"))["get_config"]()
    # The page is the published method: one reward, for the last look alone.
    config.phases.train.returns = "right"
    config.phases.train.weights.early_classification = 0.0
    config.model.location.mean_scale = 1.0
    assert page["BATCH_SIZE"] == config.train.batch_size
    assert page["NUM_GLIMPSES"] == config.train.num_glimpses
    assert page["EPOCHS"] == config.train.epochs
    assert page["STEPS_PER_EPOCH"] == config.train.steps_per_epoch
    dataset = experiment.load_data(config)
    trainer = make_library_trainer(config, dataset)
    looker, optimizer = page["Looker"](num_classes=10), page["make_optimizer"]()
    looker(dataset.some("train", 1)[0], random.make_seed(0))  # Makes its weights.
    for part in PARTS:
        weights = getattr(trainer.network, part).get_weights()
        getattr(looker, part).set_weights(weights)
    start = weights_of(looker)
    batches = dataset.train_batches(page["BATCH_SIZE"], seed=page["SEED"], num_steps=10)
    for step, (images, labels) in enumerate(batches):
        trainer.train_step((images, labels))
        page["update"](looker, optimizer, images, labels, tf.constant(step))
    assert step == 9
    ours, theirs = weights_of(looker), weights_of(trainer.network)
    assert np.linalg.norm(theirs - start) > 0.05 * np.linalg.norm(start)
    # Adam moves a weight of nearly no gradient by its sign, which a rounding turns.
    assert_close(ours, theirs, 5e-3)
    batches = dataset.eval_batches("validation", 60, max_examples=100)
    score = page["measure"](looker, batches, num_samples=2)
    assert 0 <= score <= 1 and round(100 * score) == pytest.approx(100 * score)
