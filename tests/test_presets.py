"""Trained models by name: they answer as prediction does, and train on."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image

import ram_tf
from ram_tf import data, experiment, models, pretrained
from ram_tf.errors import InputError
from ram_tf.evaluation import words
from ram_tf.families import FAMILIES
from ram_tf.serving.prediction import predict
from tests.comparisons import assert_close
from tests.untrained import KINDS, tiny_backbone, write_run

CLASSES = {
    "active_ram": "ActiveRAM",
    "dram": "DRAM",
    "fine_grained": "FineGrained",
    "mram": "MRAM",
    "pham": "PHAM",
    "ram": "RAM",
}


def write_images(folder, shape, count=5):
    """Writes image files of a shape; returns their paths and their pixels."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    paths = [folder / f"{index}.png" for index in range(count)]
    for path in paths:
        pixels = draw.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels.squeeze()).save(path)
    size, channels = shape[:2], shape[-1]
    return paths, np.stack(
        [data.decode_image(p.read_bytes(), p.name, size, channels) for p in paths]
    )


def check_as_predicted(model, workdir, tmp_path):
    """Compares `classify` with the rows of `predict`, in other batches."""
    paths, images = write_images(tmp_path / "images", model.preset.image_shape)
    output = tmp_path / "predictions.csv"
    predict(workdir, paths, output=output, batch_size=3, report=str)
    rows = list(csv.DictReader(output.open()))
    found = model.classify(images, batch_size=2)
    assert [row["class"] for row in rows] == list(found["labels"])
    best = found["probabilities"].max(axis=-1)
    assert_close([float(row["probability"]) for row in rows], best, 1e-3)
    assert len(found["locations"][0]) == model.preset.num_glimpses
    assert [model.preset.class_names[k] for k in found["classes"]] == list(
        found["labels"]
    )
    return rows, found


@pytest.mark.slow
@pytest.mark.parametrize("family", CLASSES)
def test_a_family_is_made_from_its_run_and_answers_as_prediction(family, tmp_path):
    make = getattr(ram_tf, CLASSES[family])
    with tiny_backbone():
        workdir = write_run(tmp_path / "run", family)
        model = make.from_preset(workdir)
        assert type(model) is make and model.built
        rows, found = check_as_predicted(model, workdir, tmp_path)
    told = [words.format_places(places) for places in found["locations"]]
    assert told == [row["locations"] for row in rows]


@pytest.mark.slow
def test_a_packaged_model_is_made_by_its_name_and_trains_on(tmp_path):
    model = ram_tf.RAM.from_preset("ram_digits")
    check_as_predicted(model, "packaged:ram_digits", tmp_path)
    digits = data.load("digits")
    images, labels, _ = next(iter(digits.eval_batches("test", 360)))
    before = model.classify(images)
    assert (before["classes"] == labels.numpy()).mean() > 0.93
    again = ram_tf.RAM.from_preset("packaged:ram_digits").classify(images[:7])
    assert_close(again["probabilities"], before["probabilities"][:7])
    preset = model.preset
    trainer = ram_tf.Trainer(
        model, preset.phase, preset.training_policy, preset.num_glimpses, xla=False
    )
    trainer.compile(optimizer=keras.optimizers.Adam(1e-4), jit_compile=False)
    trainer.fit(images, labels, batch_size=120, epochs=1, verbose=0)
    after = model.classify(images)
    assert not np.array_equal(after["probabilities"], before["probabilities"])
    assert (after["classes"] == labels.numpy()).mean() > 0.9


def test_every_preset_says_what_it_is_and_which_class_makes_it():
    listed = ram_tf.presets()
    assert sorted(listed) == pretrained.names()
    for name, described in listed.items():
        model = getattr(ram_tf, described["model"]).from_preset(name)
        assert model.preset.name == name
        assert model.count_params() == described["parameters"]
        assert described["description"] and described["scores"]
        for score in described["scores"].values():
            assert 50 < score["accuracy"] <= 100


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        ("RAM", "active_ram_mnist", "use ActiveRAM.from_preset, not RAM.from_preset"),
        ("PHAM", "ram_digits", "use RAM.from_preset, not PHAM.from_preset"),
        ("RAM", "vgg", "no preset 'vgg': expected one of .*ram_digits.* or the folder"),
        ("RAM", "packaged:vgg", "no packaged model 'vgg'"),
    ],
)
def test_what_it_cannot_make_is_refused_in_one_line(make, name, message):
    with pytest.raises(InputError, match=message) as caught:
        getattr(ram_tf, make).from_preset(name)
    assert "\n" not in str(caught.value)


def test_any_class_is_made_by_what_is_above_them_all():
    model = models.AttentionModel.from_preset("ram_digits")
    assert type(model) is models.RAM


def test_other_images_are_refused():
    model = ram_tf.RAM.from_preset("ram_digits")
    for shape in ((40, 40, 1), (2, 28, 28, 1), (0, 40, 40, 1)):
        with pytest.raises(InputError, match=r"\(n, 40, 40, 1\), got"):
            model.classify(np.zeros(shape, "uint8"))
    with pytest.raises(InputError, match="0, 1"):
        model.classify(np.full((1, 40, 40, 1), 7.0, "float32"))


def test_a_model_of_parts_does_not_guess_how_to_look():
    model = models.RAM(3)
    with pytest.raises(InputError, match="built from parts"):
        model.classify(np.zeros((1, 28, 28, 1), "uint8"))


def test_every_family_has_a_class_that_is_offered():
    offered = {experiment.model_class(name).__name__ for name in FAMILIES}
    assert offered == set(CLASSES.values())
    assert offered <= set(ram_tf.__all__) and set(CLASSES) <= set(KINDS)


def test_a_newly_packaged_model_has_no_scores_yet(tmp_path, monkeypatch):
    folder = pretrained.package("packaged:ram_digits", "mine", tmp_path)
    assert not (folder / "card.json").exists()
    monkeypatch.setattr(pretrained, "_HERE", tmp_path)
    assert ram_tf.presets() == {"mine": {"model": "RAM"}}
    assert json.loads((folder / "config.json").read_text())["family"] == "ram"
