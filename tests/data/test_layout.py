"""Any layout of folders: what becomes of every picture, and what moves none."""

import collections
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ram_tf.data import layout, walk
from ram_tf.errors import InputError
from tests.data.awkward import picture, write

SHARES = layout.Shares(0.3, 0.3, split_seed=3, seed=4)
CLASS_NAMES = ("ant", "Bee", "über", "train", "a b", "42", "test_tube")
SPLIT_NAMES = ("train", "Test", "VALIDATION", "images", "flowers_train")
FILE_NAMES = ("0.png", "1.PNG", "a.jpg", "é.tif", "notes.txt", "x", ".hidden.png")


# A file as the layout sees it.
Named = collections.namedtuple("Named", "parts")


def files_of(names):
    return [Named(tuple(name.split("/"))) for name in sorted(names)]


def arranged(names):
    return layout.arrange("here", files_of(names))


def membership(names, **options):
    """Returns {name: split}; each name must be in exactly one."""
    found = arranged(names)
    splits = layout.divide(found, SHARES._replace(**options))
    placed = [
        ("/".join(each.file.parts), split)
        for split, group in splits.items()
        for each in group
    ]
    loose = [("/".join(file.parts), "loose") for file in found.loose]
    assert len(placed) + len(loose) == len(dict(placed + loose))
    assert {name for name, _ in placed + loose} == set(names)
    return dict(placed + loose)


class_folders = st.dictionaries(
    st.sampled_from(CLASS_NAMES),
    st.sets(st.integers(0, 40), min_size=2, max_size=12),
    min_size=2,
)
always = settings(deadline=None, database=None, derandomize=True)


def names_in(folders):
    return {f"{name}/{i}.png" for name, numbers in folders.items() for i in numbers}


@always
@given(class_folders, st.sampled_from(CLASS_NAMES), st.integers(100, 160))
def test_another_picture_moves_no_other(folders, name, number):
    before_names = names_in(folders)
    added = f"{name}/{number}.png"
    before = membership(before_names)
    after = membership(before_names | {added})
    moved = {each for each in before if before[each] != after[each]}
    # But one that its class or a split would have lacked.
    assert all(before[each] != drawn_split(each) for each in moved)
    assert all(after[each] == drawn_split(each) for each in moved)


def drawn_split(name):
    """The split that a picture's path alone decides."""
    if layout.draw(name, SHARES.split_seed, "test") < 0.3:
        return "test"
    is_validation = layout.draw(name, SHARES.seed, "validation") < 0.3
    return "validation" if is_validation else "train"


@always
@given(class_folders)
def test_every_class_is_trained_on_and_no_split_is_empty(folders):
    found = membership(names_in(folders))
    trained = {name.split("/")[0] for name, split in found.items() if split == "train"}
    assert trained == set(folders)
    assert set(found.values()) == {"train", "validation", "test"}
    kept = [name for name in found if found[name] != drawn_split(name)]
    assert len(kept) <= len(folders) + 2


@always
@given(class_folders, st.integers(2, 4))
def test_folds_part_the_pictures(folders, num_folds):
    names = names_in(folders)
    tested = collections.Counter()
    for fold in range(num_folds):
        try:
            found = membership(names, num_folds=num_folds, fold=fold)
        except InputError as error:
            assert "cannot be divided" in str(error)
            return
        tested.update(name for name, split in found.items() if split == "test")
        assert {n.split("/")[0] for n, s in found.items() if s == "train"} == set(
            folders
        )
    assert set(tested.values()) == {1}
    # What a class keeps to train on is in no part.
    assert len(names) - len(tested) <= len(folders)


@always
@given(
    st.dictionaries(
        st.lists(
            st.sampled_from((*SPLIT_NAMES, "ant", "bee")), min_size=0, max_size=3
        ).map("/".join),
        st.sets(st.sampled_from(FILE_NAMES), min_size=1),
        min_size=1,
        max_size=6,
    )
)
def test_any_layout_is_refused_or_has_a_place_for_every_picture(folders):
    names = {
        f"{path}/{n}".lstrip("/") for path, files in folders.items() for n in files
    }
    try:
        found = membership(names)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert set(found.values()) <= {"train", "validation", "test", "loose"}


@settings(always, max_examples=25)
@given(
    st.dictionaries(
        st.sampled_from(("ant", "bee", "bee/inside", ".git", "")),
        st.sets(st.sampled_from(FILE_NAMES), min_size=1),
        min_size=1,
    )
)
def test_every_file_is_a_picture_or_left_out(folders):
    content = picture(7)
    files = {
        f"{path}/{name}".lstrip("/"): b"text" if name == "notes.txt" else content
        for path, names in folders.items()
        for name in names
    }
    with tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        listing = walk.walk(Path(write(root, files)), stack)
        pictures = {file.name for file in listing.pictures()}
        (line,) = listing.left_out.lines() or [""]
    hidden = {name for name in files if name.startswith(".") or "/." in name}
    texts = {name for name in files if name.endswith(".txt")} - hidden
    assert pictures == set(files) - hidden - texts
    assert (f"{len(texts)} .txt" in line) == bool(texts)
    assert ("hidden" in line) == bool(hidden)


def test_the_split_of_a_path_is_what_it_always_was():
    """Another rule would need another name, since runs would go on in silence."""
    assert layout.RULE == "splits by path"
    assert layout.draw("cat/1.png", 0, "test") == pytest.approx(0.98327269791)


@pytest.mark.parametrize("name", ["ant/1.png", "bee/\udcff.png"])
def test_seeds_and_purposes_draw_on_their_own(name):
    draws = {
        layout.draw(name, seed, purpose)
        for seed in range(5)
        for purpose in ("test", "validation")
    }
    assert len(draws) == 10 and all(0 <= value < 1 for value in draws)


def test_shares_are_met_on_average():
    found = membership({f"{name}/{i}.png" for name in "ab" for i in range(2000)})
    counts = collections.Counter(found.values())
    assert abs(counts["test"] - 1200) < 150
    assert abs(counts["validation"] - 0.3 * 2800) < 150


def test_a_line_names_the_classes_that_lack_a_split():
    names = {f"{name}/{i}.png" for name in "abcdef" for i in range(2)}
    found = arranged(names)
    splits = layout.divide(found, SHARES)
    line = layout.describe_lacking(found.class_names, splits)
    for split in ("validation", "test"):
        having = {each.class_name for each in splits[split]}
        lacking = sorted(set("abcdef") - having)
        assert f"{len(lacking)} without {split} ({', '.join(lacking)})" in line


def test_many_pictures_are_divided_at_once():
    """It takes seconds; what took time by the square of their number would not end."""
    names = [f"{i % 100:02d}/{i}.png" for i in range(40_000)]
    splits = layout.divide(arranged(names), SHARES)
    assert sum(map(len, splits.values())) == len(names)
