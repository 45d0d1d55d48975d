"""Three splits of images, and the batches made from them."""

import dataclasses
import functools
import hashlib
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ram_tf.data.photographs import Photographs
from ram_tf.data.store import Kept
from ram_tf.data.tensors import as_constant
from ram_tf.data.transforms import (
    Translate,
    apply_transforms,
    example_uniforms,
    num_uniforms,
)
from ram_tf.data.windows import Part, Windows
from ram_tf.errors import InputError
from ram_tf.pixels import check_pixels

# Evaluation draws its transforms from this seed and epoch 0, so always the same ones.
EVALUATION_SEED = 20_140_624
# The name of the last class of an open set.
UNKNOWN = "unknown"


class Share(NamedTuple):
    """Which parts of each global batch are made here: those of some replicas.

    Attributes:
        first: Int, the first of the replicas.
        count: Int, how many of them.
        total: Int, how many replicas share a batch.
    """

    first: int = 0
    count: int = 1
    total: int = 1


WHOLE = Share()


class Targets(NamedTuple):
    """What a training batch knows of its images where it is more than labels.

    Attributes:
        labels: Int tensor `(B,)`.
        places: Float32 tensor `(B, 2)`, (x, y) in [-1, 1] of what an image shows; NaN
            where it is not known.
    """

    labels: Any
    places: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images with labels, and the transforms that a batch of them goes through.

    Args:
        images: Array `(n, h, w, C)`, uint8 or float in [0, 1], before the transforms;
            or `Photographs`, of any sizes; or `Kept`, of one size, in a file; or
            `Windows`, or a `Part` of them: what is read where a model looks.
        labels: Array `(n,)`, integer.
        transforms: Tuple of transforms, applied in order to a batch.
        groups: Array `(n,)`, integer: of which original picture each one is, where
            several are of one; `None` where all differ.
        known: Boolean array `(n,)`: of which images training may know the place of what
            they show; `None` of none.
        own_places: Float array `(n, 2)`, (x, y) in [-1, 1]: these places. `None` where
            the first transform, a `Translate`, decides them.
    """

    images: np.ndarray | Photographs | Kept | Windows | Part
    labels: np.ndarray
    transforms: tuple = ()
    groups: np.ndarray | None = None
    known: np.ndarray | None = None
    own_places: np.ndarray | None = None

    def __post_init__(self):
        images, labels = self.images, np.asarray(self.labels)
        if isinstance(images, Windows):
            images = images.take(range(len(images)))
        if isinstance(images, Part) and self.transforms:
            raise InputError(
                "Images that are read in windows go through no transforms. Received: "
                f"{self.transforms}."
            )
        if not isinstance(images, (Photographs, Kept, Part)):
            images = self._checked(np.asarray(images), labels)
        elif labels.shape != (len(images),):
            raise InputError(
                f"There must be one label for each of {len(images)} images. "
                f"Received: {labels.shape}."
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise InputError(f"Labels must be integers. Received: {labels.dtype}.")
        if self.groups is not None and np.shape(self.groups) != labels.shape:
            raise InputError(
                f"There must be one group for each of {len(labels)} images. "
                f"Received: {np.shape(self.groups)}."
            )
        if self.known is not None:
            self._check_known(labels)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels.astype(np.int64))

    @staticmethod
    def _checked(images, labels):
        if images.ndim != 4 or labels.shape != images.shape[:1] or not images.size:
            raise InputError(
                "Images must be (n, height, width, channels) and labels (n,), n > 0. "
                f"Received: images {images.shape}, labels {labels.shape}."
            )
        if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
            raise InputError(
                f"Images must be uint8 or float. Received: {images.dtype}."
            )
        if images.dtype != np.uint8 and not np.isfinite(images).all():
            bad = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
            raise InputError(
                f"{len(bad)} images hold NaN or infinite values, the first is number "
                f"{bad[0]}. Remove or repair them."
            )
        check_pixels(images)
        return images

    def _check_known(self, labels):
        if np.shape(self.known) != labels.shape:
            raise InputError(
                f"For each of {len(labels)} images it must be said whether its place "
                f"is known. Received: {np.shape(self.known)}."
            )
        if self.own_places is not None:
            if self.transforms or np.shape(self.own_places) != (len(labels), 2):
                raise InputError(
                    f"Images that go through no transforms have places {len(labels)}x2 "
                    f"of their own. Received: {np.shape(self.own_places)}, and the "
                    f"transforms {self.transforms}."
                )
        elif not isinstance(next(iter(self.transforms), None), Translate):
            raise InputError(
                "Places are known of images that are dropped on a canvas first. "
                f"Received: the transforms {self.transforms}."
            )

    def __len__(self):
        return len(self.labels)

    @property
    def image_shape(self):
        """(height, width, channels) after the transforms.

        Of images that are read in windows height and width are `None`.
        """
        shape = self._source.image_shape
        for transform in self.transforms:
            shape = transform.output_shape(*shape)
        return tuple(shape)

    @functools.cached_property
    def _source(self):
        if isinstance(self.images, Photographs):
            return self.images
        if isinstance(self.images, Kept):
            return _KeptImages(self.images)
        if isinstance(self.images, Part):
            return _Positions(self.images)
        return _ImageArray(self.images)

    def load(self):
        """Makes the tensors that batches are read from, once, outside of a graph."""
        self._source.load()

    def batch(self, examples, seed, epoch):
        """Returns images and labels of some examples, in the graph.

        Instead of images that are read in windows, it returns their positions in the
        `Windows`: int32 `(B,)`.

        Args:
            examples: Integer tensor `(B,)`, positions in this split.
            seed: Python integer, seed of the transforms.
            epoch: Integer or scalar tensor; another epoch, other draws.
        """
        cut = self._source.num_draws
        draws = cut + num_uniforms(self.transforms)
        uniforms = example_uniforms(seed, epoch, examples, draws) if draws else None
        images = self._source.gather(examples, uniforms)
        if self.transforms:
            images = apply_transforms(self.transforms, images, uniforms[:, cut:])
        return images, tf.gather(self.labels, examples)

    def places(self, examples, seed, epoch):
        """Returns where what these images show lies in `batch`, where that is known.

        Args:
            examples: As of `batch`.
            seed: As of `batch`.
            epoch: As of `batch`.

        Returns:
            Float32 tensor `(B, 2)`, (x, y) in [-1, 1]; NaN where it is not known.
        """
        if self.own_places is not None:
            places = tf.gather(tf.cast(self.own_places, tf.float32), examples)
        else:
            drop = self.transforms[0]
            uniforms = example_uniforms(seed, epoch, examples, drop.num_draws)
            places = drop.places(uniforms, *self._source.image_shape[:2])
        return tf.where(tf.gather(self.known, examples)[:, None], places, np.nan)


class _ImageArray:
    """What `Photographs` is, of images of one size."""

    num_draws = 0

    def __init__(self, images):
        self.images = images

    @property
    def image_shape(self):
        return self.images.shape[1:]

    @functools.cached_property
    def _tensor(self):
        float_or_uint8 = np.uint8 if self.images.dtype == np.uint8 else np.float32
        return as_constant(self.images.astype(float_or_uint8, copy=False))

    def load(self):
        return self._tensor

    def gather(self, examples, uniforms):
        return tf.gather(self._tensor, examples)


class _KeptImages(_ImageArray):
    """Some of the images of one size in a file, in an order of their own."""

    def __init__(self, kept):
        height, width = kept.one_size()
        super().__init__(kept.pixels.reshape(-1, height, width, kept.pixels.shape[-1]))
        self.rows = kept.starts // (height * width)

    def gather(self, examples, uniforms):
        return super().gather(tf.gather(self.rows, examples), uniforms)


class _Positions:
    """The positions of images in `Windows`, in the place of the images."""

    num_draws = 0

    def __init__(self, part):
        self.part = part

    @property
    def image_shape(self):
        return None, None, self.part.windows.channels

    def load(self):
        return self.part.positions

    def gather(self, examples, uniforms):
        return tf.gather(self.part.positions, examples)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with its three splits.

    Args:
        name: Name of the source.
        train: Split to train on.
        validation: Split to choose on, taken from the training images.
        test: Split to report on; nothing is chosen on it.
        class_names: Tuple of strings; label k is `class_names[k]`.
        background: Float in [0, 1], the brightness around what an image shows, black
            or white; `None` of photographs, which have none.
        fingerprint: String that other images would change: their count and a digest.
            What the source has not said is made of the splits' sizes and labels.
        notes: Tuple of strings, lines about what was read and what was not.
        measured: Name of the one split that was read to measure a trained model, or
            "all"; all three are it then. `None` of data to train on.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    background: float | None = None
    fingerprint: str | None = None
    notes: tuple[str, ...] = ()
    measured: str | None = None

    def __post_init__(self):
        for name in ("train", "validation", "test"):
            split = getattr(self, name)
            low, high = split.labels.min(), split.labels.max()
            if low < 0 or high >= self.num_classes:
                raise InputError(
                    f"Labels of {self.name} ({name}) must be one for each of its "
                    f"{self.num_classes} classes, from 0. Received: {low}..{high}."
                )
            if split.image_shape != self.image_shape:
                raise InputError(
                    f"The splits of {self.name} must have images of one shape. "
                    f"Received: train {self.image_shape}, {name} {split.image_shape}."
                )
            if getattr(split.images, "windows", None) is not self.windows:
                raise InputError(
                    f"The splits of {self.name} must share one `Windows`: take them "
                    "from it."
                )
        if self.fingerprint is None:
            splits = (self.train, self.validation, self.test)
            labels = [split.labels.astype("<i8").tobytes() for split in splits]
            made = make_fingerprint(sum(map(len, splits)), labels)
            object.__setattr__(self, "fingerprint", made)

    @property
    def image_shape(self):
        """(height, width, channels) of an image as a model gets it."""
        return self.train.image_shape

    @property
    def windows(self):
        """The `Windows` that batches hold positions of, or `None`: they hold images."""
        images = self.train.images
        return images.windows if isinstance(images, Part) else None

    @property
    def num_classes(self):
        return len(self.class_names)

    @property
    def unknown_class(self):
        """The class that stands for all others, or `None` if the set is closed."""
        is_open = self.class_names[-1] == UNKNOWN
        return self.num_classes - 1 if is_open else None

    def steps_per_epoch(self, batch_size):
        """Returns the number of full batches in one pass over the training images."""
        steps = len(self.train) // _positive("batch size", batch_size)
        if not steps:
            raise InputError(
                f"A batch of {batch_size} is larger than {self.name}'s "
                f"{len(self.train)} training images. Lower `train.batch_size`, "
                "or `phases.<phase>.batch_size` where the phase has its own."
            )
        return steps

    def train_batches(self, batch_size, *, seed, start_step=0, num_steps, share=WHOLE):
        """Makes the training batches of some steps.

        The batch of global step s depends on (`seed`, s) alone, so starting anywhere
        costs nothing. A pass over the data takes `steps_per_epoch(batch_size)` steps,
        each in an order of its own; its last, partial batch is left out.

        Args:
            batch_size: Integer > 0.
            seed: Integer, of the order and of the transforms.
            start_step: Integer, the first global step.
            num_steps: Integer, how many steps.
            share: A `Share` of each batch: its parts, equal and in turn.

        Returns:
            `tf.data.Dataset` of (images `(B, H, W, C)`, labels `(B,)`), or of (images,
            `Targets`) where some places are known.
        """
        steps = self.steps_per_epoch(batch_size)
        split, last = self.train, len(self.train) - 1
        folded = (seed ^ (seed >> 32)) % 2**32  # the shuffle takes 32 bits
        split.load()

        def batch(step, part):
            epoch = step // steps
            position = step % steps * batch_size + part
            key = tf.stack([tf.constant(folded, tf.uint32), tf.cast(epoch, tf.uint32)])
            examples = tf.random.experimental.index_shuffle(position, key, last)
            images, labels = split.batch(examples, seed, epoch)
            if split.known is None:
                return images, labels
            return images, Targets(labels, split.places(examples, seed, epoch))

        steps_here = range(start_step, start_step + num_steps)
        return _pipeline(steps_here, batch_size, share, batch)

    def eval_batches(self, split, batch_size, max_examples=None, share=WHOLE):
        """Makes the batches of one pass over a split, in its fixed order.

        Args:
            split: "train", "validation" or "test".
            batch_size: Integer > 0. The last batch is filled up with example 0.
            max_examples: Integer or `None`; at most so many, the first ones.
            share: A `Share` of each batch.

        Returns:
            `tf.data.Dataset` of (images `(B, H, W, C)`, labels `(B,)`, weights `(B,)`);
            weights are float32, 0 for what fills up the last batch, else 1.
        """
        size = self.eval_size(split, max_examples)
        chosen = self._split(split)
        chosen.load()

        def batch(step, part):
            examples = step * batch_size + part
            real = examples < size
            examples = tf.where(real, examples, 0)
            images, labels = chosen.batch(examples, EVALUATION_SEED, 0)
            return images, labels, tf.cast(real, tf.float32)

        steps = range(-(-size // _positive("batch size", batch_size)))
        return _pipeline(steps, batch_size, share, batch)

    def some(self, split, count):
        """Returns the first images and labels of a split, at most `count`."""
        images, labels, weights = next(iter(self.eval_batches(split, count)))
        real = np.asarray(weights) > 0
        return np.asarray(images)[real], np.asarray(labels)[real]

    def take(self, split, examples):
        """Returns the images at these positions of a split, as `eval_batches` does."""
        images, _ = self._split(split).batch(tf.constant(examples), EVALUATION_SEED, 0)
        return np.asarray(images)

    def eval_groups(self, split, max_examples=None):
        """Returns the `groups` of what `eval_batches` goes through, or `None`."""
        groups = self._split(split).groups
        size = self.eval_size(split, max_examples)
        return None if groups is None else np.asarray(groups)[:size]

    def eval_size(self, split, max_examples=None):
        """Returns how many examples `eval_batches` goes through."""
        size = len(self._split(split))
        if max_examples is None:
            return size
        return min(size, _positive("`eval.max_examples`", max_examples))

    def _split(self, name):
        if self.measured is not None and name == self.measured:
            return self.test
        if name not in ("train", "validation", "test"):
            raise InputError(
                f"There is no split {name!r}. Use train, validation or test."
            )
        return getattr(self, name)


def make_fingerprint(count, parts):
    """Says in few characters what data are: their count, a digest of some bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d " % len(part) + part)
    return f"{count:,} images, {digest.hexdigest()[:16]}"


def choose_validation(num_examples, fraction, seed):
    """Divides the training images at random, by `seed` alone.

    Args:
        num_examples: Integer, how many training images there are.
        fraction: Float in (0, 1), the share that validates.
        seed: Integer.

    Returns:
        Two integer arrays in random order: what to train on, what to validate on.
    """
    if not 0 < fraction < 1:
        raise InputError(
            "`data.validation_fraction` must lie between 0 and 1, both excluded. "
            f"Received: {fraction}."
        )
    if num_examples < 2:
        raise InputError(
            f"Training and validation need 2 images or more. Received: {num_examples}."
        )
    order = np.random.default_rng(seed % 2**64).permutation(num_examples)
    count = min(max(round(num_examples * fraction), 1), num_examples - 1)
    return order[count:], order[:count]


def _positive(what, value):
    if value <= 0:
        raise InputError(f"The {what} must be positive. Received: {value}.")
    return value


def _pipeline(steps, batch_size, share, batch):
    """The parts of the batches of some steps: `batch(step, positions in its batch)`."""
    if batch_size % share.total:
        raise InputError(
            f"A batch of {batch_size} cannot be shared by {share.total} replicas: use "
            f"a multiple of {share.total}."
        )
    size = batch_size // share.total

    @tf.autograph.experimental.do_not_convert
    def make(index):
        part = share.first + index % share.count
        positions = part * size + tf.range(size, dtype=tf.int64)
        return batch(index // share.count, positions)

    indices = tf.data.Dataset.range(share.count * steps.start, share.count * steps.stop)
    batches = indices.map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)
