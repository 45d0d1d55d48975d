"""What the README shows is what happens."""

import re

import numpy as np

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_example_model_trains_and_predicts():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) <= 15
    names = {}
    exec(code, names)
    model = names["model"]
    images = np.random.default_rng(0).random((8, 60, 60, 1), "float32")
    places = np.zeros((8, 2), "float32")
    labels = np.arange(8)
    losses = model.fit([images, places], labels, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    probabilities, location, log_prob = model.predict([images, places], verbose=0)
    assert probabilities.shape == (8, 10)
    assert location.shape == (8, 2) and log_prob.shape == (8,)


def test_files_that_are_named_exist():
    named = set(re.findall(r"(?:tools|configs|tests)/[\w/]+\.\w+", README))
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
