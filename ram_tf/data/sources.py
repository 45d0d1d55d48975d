"""The known data sets by name, and `load`, which reads one."""

import functools
import inspect
import pathlib

import numpy as np

from ram_tf.data.dataset import Dataset, Split, choose_validation
from ram_tf.data.folder import folder
from ram_tf.data.known_places import choose_known
from ram_tf.data.omniglot import omniglot
from ram_tf.data.photographs import Photographs
from ram_tf.data.records import Form
from ram_tf.data.synthetic import synthetic
from ram_tf.data.tfds_source import load_tfds
from ram_tf.data.transforms import (
    Clutter,
    ColorJitter,
    HorizontalFlip,
    RandomResizedCrop,
    Translate,
    TranslateAndScale,
    example_uniforms,
    size_pair,
)
from ram_tf.data.windows_source import hunt, windows
from ram_tf.data.xor import xor
from ram_tf.errors import InputError
from ram_tf.files import expand_path

# Seeds of what must be the same for everybody, whatever the run's own seed is.
DIGITS_TEST_SEED = 1_797
PLACES_SEED = 8_125


def load(name, datapath=None, *, validation_fraction=0.1, seed=0, **options):
    """Reads a data set.

    Args:
        name: String, a key of `SOURCES`.
        datapath: Path to the data, or `None` where the source needs none.
        validation_fraction: Float in (0, 1), share of the training images to validate
            on. The test images are never touched.
        seed: Integer, chooses the validation images.
        **options: What the source takes besides; see its docstring.

    Returns:
        A `Dataset`.
    """
    if name not in SOURCES:
        raise InputError(
            f"There is no data set {name!r}. Known: {', '.join(sorted(SOURCES))}."
        )
    source = SOURCES[name]
    shared = ("datapath", "validation_fraction", "seed")
    known = [key for key in inspect.signature(source).parameters if key not in shared]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(
            f"Data set {name!r} has no option {', '.join(unknown)}. "
            f"Known: {', '.join(known)}."
        )
    if datapath is not None:
        datapath = pathlib.Path(expand_path(datapath))
    return source(
        datapath, validation_fraction=validation_fraction, seed=seed, **options
    )


def _read_digits(size):
    """The digits that ship with scikit-learn, enlarged to `size`, (height, width).

    Returns:
        Their images, uint8, and labels, and which are to train and which to test on.
    """
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    small = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    images = np.stack(
        [Image.fromarray(image).resize(size[::-1], Image.BICUBIC) for image in small]
    )[..., None]
    labels = bunch.target.astype(np.int64)
    rest, test = train_test_split(
        np.arange(len(labels)),
        test_size=0.2,
        stratify=labels,
        random_state=DIGITS_TEST_SEED,
    )
    return images, labels, rest, test


# The keys of `data`, by name.
def digits(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    digit_size=24,
    canvas=(40, 40),
    test_places=4,
    known_places=0.0,
):
    """Reads scikit-learn's 1,797 digits, enlarged, on a larger black canvas.

    In training a digit lies at a new random place each epoch. The test fifth is the
    same for everybody; each of its digits, and of validation's, lies at `test_places`
    fixed places.

    Args:
        datapath: Not used.
        validation_fraction: Float, share of the training digits that validates.
        seed: Integer, chooses the validation digits.
        digit_size: Integer, side of a digit in pixels (8 in the source).
        canvas: Integer, (height, width), or `None` for the bare digits.
        test_places: Integer, number of fixed places of an evaluated digit.
        known_places: Float in [0, 1], share of the training digits whose place on the
            canvas training may know. Evaluation never does.

    Returns:
        A `Dataset`.
    """
    size = size_pair(digit_size, "digit_size")
    if test_places < 1:
        raise InputError(f"`data.test_places` must be >= 1. Received: {test_places}.")
    images, labels, rest, test = _read_digits(size)
    train, validation = choose_validation(len(rest), validation_fraction, seed)

    def evaluated(chosen):
        if canvas is None:
            return Split(images[chosen], labels[chosen])
        return _at_fixed_places(images, labels, chosen, translate, test_places)

    translate = None if canvas is None else Translate(*size_pair(canvas, "canvas"))
    transforms = () if canvas is None else (translate,)
    _check_canvas(known_places, transforms)
    known, notes = choose_known(known_places, len(train), seed)
    chosen = rest[train]
    return Dataset(
        name="digits",
        train=Split(images[chosen], labels[chosen], transforms, known=known),
        validation=evaluated(rest[validation]),
        test=evaluated(test),
        class_names=tuple("0123456789"),
        background=0.0,
        notes=notes,
    )


def _check_canvas(known_places, transforms):
    """Refuses places of images that lie nowhere in particular."""
    if known_places > 0 and not transforms:
        raise InputError(
            f"`data.known_places` is {known_places:g}, and without a `data.canvas` "
            "images lie nowhere in particular: set the canvas, or leave it 0."
        )


# The keys of `data`, by name.
def scaled_digits(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    smallest=8,
    largest=60,
    canvas=(60, 60),
    test_places=4,
):
    """Reads `digits`, each at a random size and a random place on a black canvas.

    Small ones are as many as large ones: the side is drawn log-uniformly. In training a
    digit has another size and place each epoch, in evaluation `test_places` fixed ones.

    Args:
        datapath: Not used.
        validation_fraction: Float, share of the training digits that validates.
        seed: Integer, chooses the validation digits.
        smallest: Integer, the smallest side of a digit in pixels (8 in the source).
        largest: Integer, the largest side.
        canvas: Integer, (height, width).
        test_places: Integer, number of fixed sizes and places of an evaluated digit.

    Returns:
        A `Dataset`.
    """
    if test_places < 1:
        raise InputError(f"`data.test_places` must be >= 1. Received: {test_places}.")
    drop = TranslateAndScale(*size_pair(canvas, "canvas"), smallest, largest)
    images, labels, rest, test = _read_digits((largest, largest))
    train, validation = choose_validation(len(rest), validation_fraction, seed)
    chosen = rest[train]
    return Dataset(
        name="scaled_digits",
        train=Split(images[chosen], labels[chosen], (drop,)),
        validation=_at_fixed_places(
            images, labels, rest[validation], drop, test_places
        ),
        test=_at_fixed_places(images, labels, test, drop, test_places),
        class_names=tuple("0123456789"),
        background=0.0,
    )


def _at_fixed_places(images, labels, chosen, translate, num_places):
    """Copies the chosen images to fixed places: first all at one, then at the next."""
    translate.output_shape(*images.shape[1:])  # says so if they do not fit
    placed = []
    for place in range(num_places):
        # By position in the whole set, so a digit's places do not depend on the split.
        uniforms = example_uniforms(PLACES_SEED, place, chosen, translate.num_draws)
        placed.append(translate(images[chosen], uniforms).numpy())
    return Split(
        np.concatenate(placed),
        np.tile(labels[chosen], num_places),
        groups=np.tile(chosen, num_places),
    )


# The keys of `data`, by name.
def mnist(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    canvas=None,
    num_pieces=0,
    piece_size=8,
    known_places=0.0,
    name="mnist",
):
    """Reads MNIST through TensorFlow Datasets.

    Args:
        datapath: Folder with the prepared data set or its original archives, or where
            to download to; `None` for TensorFlow Datasets' own folder.
        validation_fraction: Float, share of the training images that validates.
        seed: Integer, chooses the validation images.
        canvas: Integer or (height, width), drops each digit at a random place on a
            canvas of that size: a new one each epoch in training, a fixed one in
            evaluation. `None` for the 28 x 28 images as they are.
        num_pieces: Integer, pieces of other digits strewn over each image, drawn as
            its place is. Those of a split come from its own images alone, so that
            nothing of the test digits is ever seen in training.
        piece_size: Integer, side of a piece in pixels.
        known_places: As of `digits`.
        name: String, that of the `Dataset`.

    Returns:
        A `Dataset`.
    """
    arrays, class_names = load_tfds("mnist", datapath)
    images, labels = arrays["train"]
    train, validation = choose_validation(len(labels), validation_fraction, seed)

    drop = () if canvas is None else (Translate(*size_pair(canvas, "canvas")),)
    _check_canvas(known_places, drop)
    known, notes = choose_known(known_places, len(train), seed)

    def split(images, labels, known=None):
        clutter = (Clutter(images, num_pieces, piece_size),) if num_pieces else ()
        return Split(images, labels, drop + clutter, known=known)

    return Dataset(
        name=name,
        train=split(images[train], labels[train], known),
        validation=split(images[validation], labels[validation]),
        test=split(*arrays["test"]),
        class_names=class_names,
        background=0.0,
        notes=notes,
    )


def translated_mnist(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    canvas=(60, 60),
    known_places=0.0,
):
    """Reads `mnist`, each digit at a random place on a larger black canvas."""
    return mnist(
        datapath,
        validation_fraction=validation_fraction,
        seed=seed,
        canvas=canvas,
        known_places=known_places,
        name="translated_mnist",
    )


# The keys of `data`, by name.
def cluttered_mnist(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    canvas=(60, 60),
    num_pieces=4,
    piece_size=8,
    known_places=0.0,
):
    """Reads `translated_mnist` with pieces of other digits strewn over each image.

    The paper has 4 pieces of 8 x 8 pixels on 60 x 60, and 8 on 100 x 100.
    """
    return mnist(
        datapath,
        validation_fraction=validation_fraction,
        seed=seed,
        canvas=canvas,
        num_pieces=num_pieces,
        piece_size=piece_size,
        known_places=known_places,
        name="cluttered_mnist",
    )


# The keys of `data`, by name.
def colour_images(
    name,
    tfds_name,
    train_split,
    test_split,
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    augment=("crop", "flip", "color"),
):
    """Reads a data set of small colour images through TensorFlow Datasets.

    Args:
        name: String, ours for the data set.
        tfds_name: String, TensorFlow Datasets' or our builder's name for it.
        train_split: String, split to train and validate on, such as "train+extra".
        test_split: String, split to test on.
        datapath: As for `mnist`.
        validation_fraction: Float, share of the training images that validates.
        seed: Integer, chooses the validation images.
        augment: Names of what changes training images at random, anew each epoch:
            `"crop"`, `"flip"`, `"color"`, or `True` for all of them. Validation and
            test images never change.

    Returns:
        A `Dataset`.
    """
    transforms = _augmentations(augment)
    arrays, class_names = load_tfds(tfds_name, datapath, (train_split, test_split))
    images, labels = arrays[train_split]
    train, validation = choose_validation(len(labels), validation_fraction, seed)
    return Dataset(
        name=name,
        train=Split(images[train], labels[train], transforms),
        validation=Split(images[validation], labels[validation]),
        test=Split(*arrays[test_split]),
        class_names=class_names,
    )


def _augmentations(names):
    """The transforms of these `AUGMENTATIONS`, in their own order."""
    if isinstance(names, (tuple, list)) and len(names) == 1:
        (single,) = names  # A command line makes a tuple of True, too.
        names = single if isinstance(single, bool) else names
    if isinstance(names, bool):
        names = tuple(AUGMENTATIONS) if names else ()
    if not isinstance(names, (tuple, list)) or not set(names) <= set(AUGMENTATIONS):
        raise InputError(
            "`data.augment` must be True, False or some of "
            f"{tuple(AUGMENTATIONS)}. Received: {names!r}."
        )
    return tuple(make() for name, make in AUGMENTATIONS.items() if name in names)


def stanford_dogs(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    square=384,
    smallest_square=1.0,
    flip=True,
):
    """Reads Stanford Dogs through TensorFlow Datasets: 120 breeds, photographs.

    Photographs stay in memory as they are, about 10 GB; see `folder` for what is cut.

    Args:
        datapath: As for `mnist`; its archives are `images.tar`, `lists.tar` and
            `annotation.tar`.
        validation_fraction: Float, share of the training photographs that validates.
        seed: Integer, chooses the validation photographs.
        square: Integer, side in pixels of the squares that are cut.
        smallest_square: Float in (0, 1], share of the shorter side, in training.
        flip: Boolean. Mirror training photographs at random.

    Returns:
        A `Dataset`.
    """
    arrays, class_names = load_tfds("stanford_dogs", datapath)
    photographs, labels = arrays["train"]
    train, validation = choose_validation(len(labels), validation_fraction, seed)

    def split(photographs, labels, random=False):
        transforms = (HorizontalFlip(),) if random and flip else ()
        cut = Photographs(photographs, square, random, smallest_square)
        return Split(cut, labels, transforms)

    return Dataset(
        name="stanford_dogs",
        train=split([photographs[i] for i in train], labels[train], random=True),
        validation=split([photographs[i] for i in validation], labels[validation]),
        test=split(*arrays["test"]),
        class_names=class_names,
    )


# The keys of `data`, by name.
def any_tfds(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    tfds_name=None,
    train_split="train",
    validation_split=None,
    test_split="test",
    image_size=None,
    channels=None,
    augment=(),
    max_gigabytes=8,
):
    """Reads any image classification data set of TensorFlow Datasets, by its name.

    Args:
        datapath: As for `mnist`.
        validation_fraction: Float, share of the training images that validates, where
            there is no `validation_split`.
        seed: Integer, chooses the validation images.
        tfds_name: String, its name in the library's catalogue, or that of a folder
            prepared with a builder of your own; "name/configuration" where it has some.
        train_split: String, split to train on: "train", "train+extra", "train[:80%]".
        validation_split: String or `None`: drawn from the training images.
        test_split: String, split to test on.
        image_size: Integer, (height, width), or `None`: as they are, all of one size.
            Images are cropped around the centre to the ratio, then resized.
        channels: 3 for colour, 1 for grey, or `None`, as the data set has them.
        augment: As for CIFAR-10, see `AUGMENTATIONS`.
        max_gigabytes: Number, the most that the decoded images of a split may take.

    Returns:
        A `Dataset`.
    """
    if not tfds_name:
        raise InputError(
            "`data.tfds_name` is not set: expected a name of TensorFlow Datasets' "
            "catalogue, as in --config.data.tfds_name=cifar10."
        )
    if channels not in (None, 1, 3):
        raise InputError(f"`data.channels` must be 1 or 3. Received: {channels}.")
    if image_size is not None:
        image_size = size_pair(image_size, "image_size")
    transforms = _augmentations(augment)
    form = Form(image_size, channels, max_gigabytes)
    splits = [train_split, *filter(None, [validation_split]), test_split]
    arrays, class_names = load_tfds(tfds_name, datapath, splits, form)
    for split, (images, labels) in arrays.items():
        if isinstance(images, list):
            raise InputError(
                f"the images of {tfds_name} differ in size: set `data.image_size`."
            )
        if len(labels) and labels.min() < 0:
            raise InputError(
                f"{tfds_name} has images without a label in {split}: choose other "
                "splits."
            )
    images, labels = arrays[train_split]
    if validation_split:
        train, validation = slice(None), Split(*arrays[validation_split])
    else:
        train, drawn = choose_validation(len(labels), validation_fraction, seed)
        validation = Split(images[drawn], labels[drawn])
    return Dataset(
        name=tfds_name,
        train=Split(images[train], labels[train], transforms),
        validation=validation,
        test=Split(*arrays[test_split]),
        class_names=class_names,
    )


AUGMENTATIONS = {
    "crop": RandomResizedCrop,
    "flip": HorizontalFlip,
    "color": ColorJitter,
}

SOURCES = {
    "cifar10": functools.partial(colour_images, "cifar10", "cifar10", "train", "test"),
    "cifar100": functools.partial(
        colour_images, "cifar100", "cifar100", "train", "test"
    ),
    "cinic10": functools.partial(
        colour_images, "cinic10", "cinic10", "train+valid", "test"
    ),
    "cluttered_mnist": cluttered_mnist,
    "digits": digits,
    "folder": folder,
    "hunt": hunt,
    "mnist": mnist,
    "omniglot": omniglot,
    "scaled_digits": scaled_digits,
    "stanford_dogs": stanford_dogs,
    "svhn": functools.partial(
        colour_images, "svhn", "svhn_cropped", "train+extra", "test", augment=()
    ),
    "synthetic": synthetic,
    "tfds": any_tfds,
    "translated_mnist": translated_mnist,
    "tinyimagenet": functools.partial(
        colour_images, "tinyimagenet", "tinyimagenet", "train", "val"
    ),
    "windows": windows,
    "xor": xor,
}
