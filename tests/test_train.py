"""What train.py's command line means, up to the config that is trained."""

import numpy as np
import pytest
from PIL import Image

from ram_tf import data, experiment
from ram_tf.errors import InputError
from ram_tf.families import find_family
from ram_tf.studies import tuning
from tests import test_configs
from tests.conftest import ROOT

CONFIGS = sorted(path.stem for path in test_configs.FILES)
# One word of each type of a key.
WORDS = {int: ("3", 3), float: ("0.5", 0.5), str: ("a", "a"), tuple: ("(1,)", (1,))}

# As published: phase -> its weight, epochs and what it starts from.
PUBLISHED_LINES = {
    "first": (1, 1000, None),
    "second": (0, 100, "first"),
    "third": (16, 100, "second"),
}


def published_line(dataset, phase, datapath="./data/", folder="."):
    ccebal, epochs, before = PUBLISHED_LINES[phase]
    start = before and f"{folder}/{dataset}_log_{before}"
    return (
        f"--dataset={dataset}",
        f"--datapath={datapath}",
        "--lr=0.001",
        f"--training_phase={phase}",
        f"--ccebal={ccebal}",
        "--batch=64",
        "--batchv=64",
        "--T=7",
        f"--logfolder={folder}/{dataset}_log_{phase}",
        f"--epochs={epochs}",
        f"--pretrain_checkpoint={start}",
    )


def file_of(name):
    return f"--config={ROOT}/configs/{name}.py"


def effective(config, phase):
    phase = find_family(config.family).phase(phase)
    return experiment.phase_config(config, phase).to_dict()


def leaves(section, prefix=""):
    """Yields dotted key, section, name of every key of a config."""
    for name, value in section.items():
        if hasattr(value, "items"):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", section, name


# Published lines


@pytest.mark.parametrize("phase", PUBLISHED_LINES)
@pytest.mark.parametrize(
    "dataset", ["svhn", "cifar10", "cifar100", "cinic10", "tinyimagenet"]
)
def test_a_published_line_means_the_published_config(dataset, phase, understand):
    """What the line gives beside is where the data are, and a batch to evaluate in."""
    line = understand(*published_line(dataset, phase))
    expected = effective(understand(file_of(f"pham_{dataset}")), phase)
    expected["data"]["datapath"] = "./data/"
    expected["eval"]["batch_size"] = 64
    before = PUBLISHED_LINES[phase][2]
    start = before and f"./{dataset}_log_{before}"
    expected["train"]["pretrain_checkpoint"] = start
    assert effective(line, phase) == expected
    experiment.check(line)


# Short names of what belongs to a phase


@pytest.mark.parametrize("name", ["lr", "epochs", "ccebal"])
@pytest.mark.parametrize("source", ["--dataset=svhn", file_of("photos_small")])
def test_what_belongs_to_a_phase_needs_one_where_there_are_several(
    name, source, understand
):
    with pytest.raises(InputError, match=f"--{name} needs one --training_phase"):
        understand(source, f"--{name}=5")


@pytest.mark.parametrize("phase", [[], ["--training_phase=train"]])
def test_a_family_of_one_phase_needs_no_name_and_takes_its_own(phase, understand):
    config = understand("--epochs=5", "--lr=0.5", "--ccebal=2", *phase)
    assert (config.train.epochs, config.train.learning_rate) == (5, 0.5)
    assert config.phases.train.weights.classification == 2.0


def test_a_phase_of_another_family_is_refused_before_it_sets_anything(understand):
    with pytest.raises(InputError, match="unknown phase 'first': this family has trai"):
        understand("--training_phase=first", "--epochs=5")


def test_a_short_name_and_its_key_contradict_each_other(understand):
    key = "--config.phases.first.epochs=3"
    with pytest.raises(InputError, match="are one key"):
        understand("--dataset=digits", "--training_phase=first", "--epochs=5", key)


def test_a_loss_that_a_phase_does_not_have_has_no_weight(understand):
    words = (file_of("photos_small"), "--training_phase=pretrain", "--ccebal=2")
    with pytest.raises(InputError, match="phases.pretrain.weights.classification"):
        understand(*words)


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ([], "imagenet"),
        (["--pretrain_checkpoint=None"], None),
        (["--pretrain_checkpoint=DIR"], "DIR"),
        (["--config.phases.pretrain.pretrain_checkpoint=None"], None),
    ],
)
def test_a_phase_can_be_told_to_start_from_nothing(words, start, understand):
    config = understand(file_of("dogs_k1"), "--training_phase=pretrain", *words)
    assert effective(config, "pretrain")["train"]["pretrain_checkpoint"] == start


# Keys that may be None


@pytest.mark.parametrize("name", CONFIGS)
def test_what_a_config_leaves_open_can_be_set(name, understand):
    config = understand(file_of(name))
    left_open = [key for key in leaves(config) if key[1][key[2]] is None]
    assert left_open
    kinds = {key: section.get_type(name) for key, section, name in left_open}
    words = [f"--config.{key}={WORDS[kind][0]}" for key, kind in kinds.items()]
    found = understand(file_of(name), *words)
    values = {key: section[name] for key, section, name in leaves(found)}
    for key, kind in kinds.items():
        assert values[key] == WORDS[kind][1]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("omniglot", "data.image_size"),
        ("pham_digits", "data.canvas"),
        ("pham_digits", "model.imagined_steps"),
        ("pham_digits", "phases.first.steps_per_epoch"),
        ("photos_small", "phases.attend.batch_size"),
        ("pham_svhn", "phases.first.epochs"),
        ("ram_cifar10", "eval.policies"),
        ("ram_digits", "data.canvas"),
        ("ram_digits", "model.location.hidden_units"),
        ("ram_digits", "train.clip_norm"),
        ("ram_digits", "train.steps_per_epoch"),
        ("ram_folder", "data.image_size"),
        ("translated_mnist", "data.canvas"),
    ],
)
def test_none_is_none(name, key, understand):
    config = understand(file_of(name), f"--config.{key}=None")
    values = {key: section[name] for key, section, name in leaves(config)}
    assert values[key] is None


@pytest.mark.parametrize(
    "key", ["train.epochs", "train.learning_rate", "model.core.kind", "data.name"]
)
def test_a_key_that_needs_a_value_refuses_none(key, understand):
    with pytest.raises(InputError, match=f"--config.{key} cannot be None"):
        understand(f"--config.{key}=None")


def test_a_plain_none_of_a_file_is_explained(understand, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "configs")
    path = tmp_path / "mine.py"
    path.write_text(
        "import ram_digits\n\n\ndef get_config():\n"
        "    config = ram_digits.get_config()\n"
        "    config.train.epochs = None\n"
        "    return config\n"
    )
    with pytest.raises(InputError, match="train.epochs is None .*placeholder"):
        understand("--config=" + str(path), "--config.train.epochs=5")


def test_what_holds_for_every_phase_can_be_set_for_one_again(understand):
    config = understand("--dataset=digits", "--config.train.epochs=3")
    assert config.phases.first.epochs is None
    assert config.phases.first.get_type("epochs") is int


def test_what_a_search_writes_leaves_the_same_keys_open(understand, tmp_path):
    path = tmp_path / "best_config.py"
    config = understand("--dataset=digits")
    path.write_text(tuning.config_source(config, {}, "", "this is none"))
    config = understand(
        f"--config={path}",
        "--config.phases.first.epochs=None",
        "--config.phases.second.learning_rate=0.5",
        "--config.data.canvas=None",
    )
    assert config.phases.first.epochs is None and config.data.canvas is None
    assert config.phases.second.learning_rate == 0.5


# One word where a tuple may stand


@pytest.fixture
def pictures(tmp_path):
    """A folder of two classes of images of 30x20 pixels."""
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(5):
            pixels = np.full((20, 30, 3), 40 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize(
    ("word", "shape"),
    [("16", (16, 16)), ("(16,)", (16, 16)), ("(8,16)", (8, 16)), ("None", (20, 30))],
)
def test_an_image_size_is_a_square_two_numbers_or_none(
    word, shape, understand, pictures
):
    config = understand(
        file_of("ram_folder"),
        f"--datapath={pictures}",
        f"--config.data.image_size={word}",
    )
    assert experiment.load_data(config).image_shape == (*shape, 3)


@pytest.mark.parametrize(("word", "shape"), [("30", (30, 30)), ("None", (24, 24))])
def test_a_canvas_is_a_square_or_none(word, shape, understand):
    config = understand(f"--config.data.canvas={word}")
    assert experiment.load_data(config).image_shape == (*shape, 1)


@pytest.mark.parametrize(
    ("word", "number"), [("True", 3), ("False", 0), ("()", 0), ("flip", 1)]
)
def test_augmentations_are_all_none_or_some(word, number, understand, monkeypatch):
    images = np.zeros((8, 32, 32, 3), "uint8"), np.arange(8) % 2
    splits = {"train": images, "test": images}
    monkeypatch.setattr(
        data.sources, "load_tfds", lambda *arguments: (splits, ("a", "b"))
    )
    config = understand(file_of("pham_cifar10"), f"--config.data.augment={word}")
    assert len(experiment.load_data(config).train.transforms) == number


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("eval.policies", "learned", ("learned",)),
        ("model.retina.sides", "8", (8,)),
        ("model.retina.sides", "None", None),
        ("policy.first_location", "(0,0.5)", (0, 0.5)),
        ("policy.first_location", "None", None),
    ],
)
def test_a_word_alone_is_a_tuple_of_one(key, word, value, understand):
    config = understand(f"--config.{key}={word}")
    experiment.check(config)
    values = {key: section[name] for key, section, name in leaves(config)}
    assert values[key] == value
