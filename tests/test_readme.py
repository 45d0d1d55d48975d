"""What the README and the pages of the site show is what happens."""

import json
import re
import sys
import types

import numpy as np
import pytest

from ram_tf import experiment
from ram_tf.families import FAMILIES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
}
EXAMPLES = {"configs/mean_of_glimpses.py"}  # What a page tells its reader to write.


def code_of(page):
    return re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)


def run(page):
    """Runs the blocks of a page one after the other; returns the names they made."""
    blocks, names = code_of(page), {}
    assert blocks
    for block in blocks:
        exec(block, names)
    return names


def run_files(page, monkeypatch):
    """Runs the blocks of a page, each a file by itself; returns the names of all."""
    names = {}
    for block in code_of(page):
        file = re.match(r"# (\S+)\.py\n", block)[1].replace("/", ".")
        module = types.ModuleType(file)
        exec(compile(block, file, "exec"), vars(module))
        monkeypatch.setitem(sys.modules, file, module)
        names |= vars(module)
        if file.startswith("ram_tf"):
            assert module.__doc__ or file.startswith("ram_tf.models")
        else:
            assert "Command: python train.py" in module.__doc__
    return names


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_every_page_with_code_is_run_below():
    assert {page for page in PAGES if code_of(page)} == {
        "README.md",
        "docs/add_data_set.md",
        "docs/add_family.md",
        "docs/add_policy.md",
        "docs/start.md",
    }


def test_the_example_model_trains_and_predicts():
    (code,) = code_of("README.md")
    assert len(code.strip().splitlines()) <= 15
    assert code_of("docs/start.md") == [code]
    model = run("README.md")["model"]
    images = np.random.default_rng(0).random((8, 60, 60, 1), "float32")
    places = np.zeros((8, 2), "float32")
    labels = np.arange(8)
    losses = model.fit([images, places], labels, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    probabilities, location, log_prob = model.predict([images, places], verbose=0)
    assert probabilities.shape == (8, 10)
    assert location.shape == (8, 2) and log_prob.shape == (8,)


def test_the_example_data_set_is_one(capsys):
    names = run("docs/add_data_set.md")
    assert capsys.readouterr().out.startswith("(24, 24, 1) 3 (16, 24, 24, 1)")
    dataset = names["stripes"](num_images=90)
    assert [len(s) for s in (dataset.train, dataset.validation)] == [65, 7]
    images, labels = dataset.some("test", 3)
    assert images.std() > 100 and set(labels) == {0, 1, 2}
    with pytest.raises(names["InputError"], match="at least 30"):
        names["stripes"](num_images=3)


@pytest.mark.slow
def test_the_example_policies_look(capsys):
    names = run("docs/add_policy.md")
    scores = names["report"]["policies"]
    assert set(scores) == {"learned", "spiral"}
    assert "spiral" in capsys.readouterr().out
    images, _ = names["digits"].some("test", 4)
    looks = names["trained"].network(
        images, policy=names["BolderPolicy"](), num_glimpses=3
    )
    places = np.asarray(looks.locations)
    assert (places[:, 0] == 0).all() and (places[:, 1:] != 0).all()


@pytest.mark.slow
def test_the_example_family_trains(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "configs"))
    names = run_files("docs/add_family.md", monkeypatch)
    monkeypatch.setitem(FAMILIES, "mean_of_glimpses", names["FAMILY"])
    config = names["get_config"]()
    config.data.canvas = (24, 24)  # Digits that all lie at one place.
    config.train.epochs, config.train.steps_per_epoch = 2, 60
    config.eval.max_examples, config.eval.mc_samples = 360, 1
    config.runtime.xla = config.runtime.deterministic = False
    config.runtime.strategy = "one_device"
    assert experiment.run(config, tmp_path, report=lambda line: None) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["test"]["accuracy"] > 0.3
    trained = experiment.restore(tmp_path)
    images = np.zeros((2, *trained.image_shape), "uint8")
    looks = trained.network(images, policy=trained.pick(), num_glimpses=9)
    assert looks.logits.shape == (2, 9, 10)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    named = re.findall(r"(?:tools|configs|tests|docs)/[\w/]+\.\w+", PAGES[page])
    missing = {name for name in named if not (ROOT / name).exists()}
    assert missing <= EXAMPLES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page])
    folder = (ROOT / page).parent
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_readme_names_many_files():
    assert len(set(re.findall(r"(?:tools|configs|tests|docs)/[\w/]+\.\w+", README))) > 8
