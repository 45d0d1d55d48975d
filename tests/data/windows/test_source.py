"""Images on disk as a data set: class folders or a table, splits, refusals."""

import numpy as np
import pytest

from ram_tf.data import Dataset, HorizontalFlip, Measured, Split, load
from ram_tf.data.windows import Windows
from ram_tf.errors import InputError


def write(folder, *names):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((30 + number, 20), number, np.uint8))


def pixels(data, split):
    """The value of each image of a split, by its position; they are all of one."""
    positions = data.take(split, range(len(getattr(data, split))))
    cut, _ = data.windows.cut(positions, np.zeros((len(positions), 1, 2)), [4], 4)
    return np.rint(cut[:, 0, 0, 0, 0, 0] * 255).astype(int).tolist()


def test_class_folders_are_shared_out_as_pictures_are(tmp_path):
    write(tmp_path, *(f"{name}/{n}.npy" for n in range(12) for name in ("ant", "bee")))
    (tmp_path / "ant" / "about.txt").write_text("no image")
    data = load("windows", tmp_path)
    assert data.class_names == ("ant", "bee") and data.name == "windows"
    assert data.image_shape == (None, None, 1) and data.background is None
    every = []
    for split in ("train", "validation", "test"):
        values = pixels(data, split)
        labels = getattr(data, split).labels
        assert [value % 2 for value in values] == labels.tolist()
        every += values
    assert sorted(every) == list(range(24))
    assert load("windows", tmp_path).fingerprint == data.fingerprint
    assert any("1 .txt" in note for note in data.notes)
    assert any("30 x 20 to 53 x 20 pixels" in note for note in data.notes)
    write(tmp_path, "bee/12.npy")
    assert load("windows", tmp_path).fingerprint != data.fingerprint


def test_folders_of_splits_are_the_splits(tmp_path):
    write(tmp_path, *(f"{s}/{c}/{n}.npy" for s in ("train", "val", "test")
                      for c in "ab" for n in range(2)))  # fmt: skip
    data = load("windows", tmp_path)
    assert sorted(pixels(data, "train")) == [0, 1, 2, 3]
    assert sorted(pixels(data, "validation")) == [4, 5, 6, 7]
    assert sorted(pixels(data, "test")) == [8, 9, 10, 11]


def table(folder, *lines):
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def test_a_table_says_labels_and_splits(tmp_path):
    write(tmp_path, "a.npy", "deep/b.npy", "c.npy", "d.npy", "e.npy")
    path = table(
        tmp_path,
        "label,path,split,who",
        "yes,a.npy,train,me",
        "no,deep/b.npy,train,you",
        "yes,c.npy,val,me",
        "no,d.npy,Test,me",
    )
    for given in (tmp_path, path):
        data = load("windows", given)
        assert data.class_names == ("no", "yes")
        assert sorted(pixels(data, "train")) == [0, 1]
        assert pixels(data, "validation") == [2] and data.validation.labels == [1]
        assert pixels(data, "test") == [3] and data.test.labels == [0]
        assert any("1 not in labels.csv (e.npy)" in note for note in data.notes)
    assert load("windows", tmp_path, channels=3).image_shape == (None, None, 3)


def test_a_table_without_splits_is_shared_out_by_paths(tmp_path):
    names = [f"{n}.npy" for n in range(30)]
    write(tmp_path, *names)
    lines = [f"{name},{'ab'[n % 2]}" for n, name in enumerate(names)]
    table(tmp_path, "path,label", *lines)
    data = load("windows", tmp_path)
    test = set(pixels(data, "test"))
    assert 0 < len(test) < 15
    folds = [load("windows", tmp_path, num_folds=3, fold=k) for k in range(3)]
    assert sorted(sum([pixels(fold, "test") for fold in folds], [])) == list(range(30))
    # Of one image less, all others stay where they are.
    table(tmp_path, "path,label", *lines[:-1])
    assert set(pixels(load("windows", tmp_path), "test")) >= test - {29}
    # Another label is other data.
    table(tmp_path, "path,label", *lines[:-1], "29.npy,a")
    assert load("windows", tmp_path).fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["file,label", "a.npy,x"],
            "must have the columns path and label.*file, label",
        ),
        (
            ["path,label", "a.npy,x", "z.npy,y"],
            "Line 3 of .* 'z.npy', which is no file",
        ),
        (["path,label", "a.npy,x", "a.npy,y"], "Line 3 .* again, after line 2"),
        (["path,label", "a.npy,x", "b.npy,"], "Line 3 .* has no label"),
        (["path,label", "a.npy,x", "b.npy"], "Line 3 .* has not 2 columns"),
        (["path,label", "a.npy,x", "b.npy,x"], "has 1 labels; expected 2 or more"),
        (["path,label,split", "a.npy,x,half"], "Line 2 .* split 'half'. Use train"),
        (
            ["path,label,split", "a.npy,x,test", "b.npy,y,test"],
            "has no image to train on",
        ),
    ],
)
def test_a_table_that_cannot_be_used_says_the_line(tmp_path, lines, message):
    write(tmp_path, "a.npy", "b.npy")
    table(tmp_path, *lines)
    with pytest.raises(InputError, match=message):
        load("windows", tmp_path)


def test_a_model_is_measured_on_one_split(tmp_path):
    write(tmp_path, *(f"bee/{n}.npy" for n in range(3)))
    data = load("windows", tmp_path, measured=Measured(("ant", "bee")))
    assert data.measured == "all" and data.test is data.train
    assert data.test.labels.tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="classes that the model does not know: bee"):
        load("windows", tmp_path, measured=Measured(("ant", "cat")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"square": 96}, "'windows' has no option square"),
        ({"image_size": 96, "flip": True}, "has no option flip, image_size"),
        ({"channels": 2}, "`data.channels` must be 1 or 3"),
        ({"num_folds": 1}, "`data.num_folds` must be at least 2"),
        ({"test_fraction": 1.5}, "`data.test_fraction` must lie between"),
        ({"value_range": (3, 2)}, "`data.value_range` must be two numbers"),
    ],
)
def test_what_does_not_apply_is_refused_by_name(tmp_path, options, message):
    write(tmp_path, "a/0.npy", "b/0.npy", "a/1.npy", "b/1.npy")
    with pytest.raises(InputError, match=message):
        load("windows", tmp_path, **options)


def test_what_is_no_folder_of_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="gone' does not exist"):
        load("windows", tmp_path / "gone")
    (tmp_path / "all.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="images in an archive cannot be read in wind"):
        load("windows", tmp_path / "all.zip")
    for name in (f"{kind}/{n}.npy" for kind in "ab" for n in range(3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match="6 of 6 images cannot be read. The first: "):
        load("windows", tmp_path)


def test_a_split_takes_windows_and_no_transforms(tmp_path):
    write(tmp_path, "0.npy", "1.npy")
    from ram_tf.data.windows import open_reader

    images = Windows([open_reader(tmp_path / f"{n}.npy") for n in range(2)])
    split = Split(images, [0, 1])
    data = Dataset("two", split, split, split, ("a", "b"))
    assert data.windows is images and pixels(data, "test") == [0, 1]
    with pytest.raises(InputError, match="go through no transforms"):
        Split(images, [0, 1], (HorizontalFlip(),))
    with pytest.raises(InputError, match="one label for each of 2 images"):
        Split(images, [0])
    others = Split(Windows(images.readers), [0, 1])
    with pytest.raises(InputError, match="must share one `Windows`"):
        Dataset("two", split, split, others, ("a", "b"))
