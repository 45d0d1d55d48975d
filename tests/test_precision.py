"""Reduced precision: every family and phase trains with it, on float32 weights."""

import functools

import keras
import numpy as np
import pytest

from ram_tf import models, policies, random
from ram_tf.families import FAMILIES
from ram_tf.training.optimizers import make_optimizer
from ram_tf.training.trainer import Trainer
from tests.comparisons import relative_error
from tests.contracts import (
    small_dram,
    small_fine_grained,
    small_mram,
    small_pham,
    small_ram,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 16, 16, 3), "float32")
LABELS = np.arange(6) % 4
MAKERS = {
    "ram": small_ram,
    "active_ram": lambda: small_ram(models.ActiveRAM),
    "pham": small_pham,
    "fine_grained": small_fine_grained,
    "dram": small_dram,
    "mram": small_mram,
}
PHASES = [(name, phase) for name in MAKERS for phase in FAMILIES[name].phases]
# What float16's begins with is halved a dozen times before a gradient is finite.
LOSS_SCALE = 16.0
# Half the distance from one number to the next.
ROUNDING = {"mixed_bfloat16": 2**-8, "mixed_float16": 2**-11}


def train(name, phase, dtype, steps, loss_scale=LOSS_SCALE):
    """The trainer after some steps, and before them its weights, logits and loss.

    Those are of places that do not depend on what was seen: half the digits make other
    cells the best ones, and a policy that chooses among them another path.
    """
    keras.config.set_dtype_policy(dtype)
    keras.utils.set_random_seed(0)
    network = MAKERS[name]()
    network.build((None, *IMAGES.shape[1:]))
    num_glimpses = phase.fixed.get("num_glimpses", 2)
    fixed = policies.CentralCells() if name == "pham" else policies.CenterPolicy()
    trainer = Trainer(network, phase, fixed, num_glimpses, xla=False)
    optimizer, _ = make_optimizer(
        1e-3, {"kind": "constant"}, total_steps=1, steps_per_epoch=1
    )
    optimizer.build(trainer.trainable_variables)
    if dtype == "mixed_float16":
        optimizer.dynamic_scale.assign(loss_scale)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    trainer.attention.initialize(IMAGES, fixed, num_glimpses, random.make_seed(0))
    before = [np.array(weight) for weight in trainer.trainable_variables]
    logs = trainer.test_step((IMAGES, LABELS, np.ones(6, "float32")))
    loss = float(logs["loss"])
    logits = network(IMAGES, policy=fixed, num_glimpses=num_glimpses).logits
    trainer.policy = phase.policy()
    for _ in range(steps):
        trainer.reset_metrics()
        assert np.isfinite(float(trainer.train_step((IMAGES, LABELS))["loss"]))
    return trainer, before, logits, loss


@functools.cache
def in_float32(name, phase_name):
    """Logits and loss before training."""
    _, _, logits, loss = train(name, FAMILIES[name].phase(phase_name), "float32", 0)
    return logits, loss


@pytest.mark.parametrize(
    "dtype",
    ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("name", "phase"),
    [
        pytest.param(
            name,
            phase,
            id=f"{name}-{phase.name}",
            marks=[pytest.mark.slow] if phase.name in ("second", "third") else [],
        )
        for name, phase in PHASES
    ],
)
def test_every_phase_trains_in_reduced_precision(name, phase, dtype):
    trainer, before, logits, loss = train(name, phase, dtype, steps=2)
    expected, expected_loss = in_float32(name, phase.name)
    # The same model, but for some roundings, which the loss may square.
    assert 0 < relative_error(logits, expected) < 16 * ROUNDING[dtype]
    assert loss == pytest.approx(expected_loss, rel=64 * ROUNDING[dtype])
    assert trainer.attention.compute_dtype == dtype.removeprefix("mixed_")
    assert trainer.step == 2
    moved = []
    for weight, start in zip(trainer.trainable_variables, before):
        assert weight.dtype == "float32"
        moved.append(not np.array_equal(weight, start))
    assert np.mean(moved) > 0.5


def test_a_step_that_the_loss_scale_skips_is_a_step():
    """Data and checkpoints go by it."""
    (phase,) = FAMILIES["ram"].phases
    trainer, before, *_ = train("ram", phase, "mixed_float16", 1, loss_scale=2.0**40)
    for weight, start in zip(trainer.trainable_variables, before):
        np.testing.assert_array_equal(weight, start)
    assert trainer.step == 1
