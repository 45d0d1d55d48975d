"""Names are drawn as they are, whatever they hold, and no picture ends a run."""

import os
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ram_tf.errors import only_warned, warn_once
from ram_tf.pictures.curves import plot_lines
from ram_tf.pictures.gain import plot_gain
from ram_tf.pictures.glimpses import animate_glimpses, plot_glimpses
from ram_tf.pictures.lettering import lettering, readable, short_name

NAMES = {
    "dollars": "$5_to_$10",
    "a formula that is none": r"$\frac{$",
    "TeX": r"50%_of\{#}^&~",
    "no text": os.fsdecode(b"caf\xe9"),
    "half a pair": "\ud800",
    "lines": "two\nlines\r\n",
    "control": "a\x00b\x1b[31m\x7f",
    "right to left": "\u202eقطة\u200f",
    "emoji": "👩\u200d👩\u200d👧",
    "letters of another script": "猫",
    "none": "",
    "an underscore first": "_nolegend_",
    "long": "a $" * 200,
}


@pytest.fixture(autouse=True)
def nothing_said_before():
    warn_once.cache_clear()


def made_up(num_classes):
    """A recording of two images and three glimpses, gain and all."""
    rng = np.random.default_rng(0)
    boxes = np.tile(np.array([2, 3, 7, 8]), (2, 3, 1, 1))
    belief = rng.random((2, 3, num_classes))
    return {
        "images": rng.random((2, 12, 12, 1)),
        "locations": np.zeros((2, 3, 2)),
        "boxes": boxes,
        "probabilities": belief / belief.sum(axis=-1, keepdims=True),
        "glimpses": rng.random((2, 3, 1, 5, 5, 1)),
        "gain": rng.random((2, 2, 3, 3)),
    }


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_is_drawn(tmp_path, capsys, name):
    figure = Figure(figsize=(1, 1), dpi=20)
    text, style = lettering(name)
    figure.text(0, 0, text, **style)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "a.png")
    assert capsys.readouterr().err.count("\n") <= 1


@pytest.mark.parametrize("count", [2, 21])  # Bars, or the names of the best.
@pytest.mark.parametrize("plot", [plot_glimpses, plot_gain])
def test_classes_of_any_names_are_drawn(tmp_path, count, plot):
    path, several = tmp_path / "a.png", [*NAMES.values(), *NAMES.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot(made_up(count), path, several[:count], np.array([1, 0]))
    with Image.open(path) as picture:
        picture.load()


def test_an_animation_and_curves_take_any_names(tmp_path):
    several = [name for key, name in NAMES.items() if key != "long"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        animate_glimpses(made_up(len(several)), tmp_path / "a.gif", several)
        curves = {name: ([1, 10], np.ones((2, 2))) for name in several}
        path = plot_lines(curves, tmp_path / "a.png", "$x", "y\n$", x_scale="log")
    with np.load(path.with_suffix(".npz")) as file:
        assert len(file.files) == 2 * len(several)


def test_nothing_is_mathematics_whatever_a_person_has_set(tmp_path):
    with matplotlib.rc_context({"text.usetex": True}):
        text, style = lettering("$5_to_$10")
        figure = Figure()
        figure.text(0, 0, text, **style)
        figure.savefig(tmp_path / "a.png")
    assert text == "$5_to_$10"
    assert style["parse_math"] is False and style["usetex"] is False


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("Käse 猫", "Käse 猫"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("a\nb\tc\x00", r"a\nb\tc\x00"),
        ("\u202eab\u200d", "ab"),
        ("a\u3000b", "a b"),
    ],
)
def test_what_does_not_show_is_shown_as_what_it_is(name, shown):
    assert readable(name) == shown


def test_a_long_name_is_cut_after_it_can_be_read():
    assert short_name("\n" * 20) == r"\n\n\n\n\n\n\…"
    assert short_name("fourteen chars") == "fourteen chars"


def test_what_no_font_has_is_replaced_with_one_warning(capsys):
    unused = "\N{EGYPTIAN HIEROGLYPH A001}"
    drawn = [lettering(f"{unused}{number}")[0] for number in range(3)]
    missing = drawn[0] != f"{unused}0"
    shown = "\N{REPLACEMENT CHARACTER}" if missing else unused
    assert drawn == [f"{shown}{number}" for number in range(3)]
    assert capsys.readouterr().err.count("warning: no font") == missing


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("a\nb"), "a b"), (KeyError(), "KeyError")]
)
def test_what_fails_is_said_in_a_line_and_passed_over(error, reason):
    said = []
    with only_warned("no picture", said.append):
        raise error
    assert said == [f"warning: no picture: {reason}"]
