"""Builders of the data sets that TensorFlow Datasets does not have.

They read the official archive, or a part of it, as an archive or an unpacked tree: the
classes are those that it holds, whatever their number.
"""

import contextlib
import os
import pathlib

import tensorflow_datasets as tfds

from ram_tf.data.decode import decode_image
from ram_tf.data.walk import walk
from ram_tf.errors import InputError

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tar.xz", ".tgz", ".zip")


class OfficialArchive(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Makes a prepared data set of an archive in the layout of a subclass.

    A subclass has the constants below and `examples`.

    Args:
        source: Path of the archive or of the unpacked tree, or `None` to download it.
        **kwargs: As for any builder of TensorFlow Datasets.
    """

    VERSION = tfds.core.Version("1.0.0")
    URL: str
    SIDE: int  # of an image, in pixels
    ENCODING: str  # of the images, "jpeg" or "png"
    TOP: tuple[str, ...]  # what lies at the top of the tree and tells that it is one

    def __init__(self, *, source=None, **kwargs):
        self.source = source
        super().__init__(**kwargs)

    @classmethod
    def filename(cls):
        return cls.URL.rsplit("/", 1)[-1]

    @classmethod
    def find(cls, folder):
        """Returns the archive or unpacked tree in a folder, or `None`.

        The archive of the official name counts first, then the folder itself or one in
        it, then archives of any name.
        """
        official = folder / cls.filename()
        if official.exists():
            return official
        inside = sorted(folder.iterdir())
        for root in (folder, *inside):
            if all(os.path.exists(root / name) for name in cls.TOP):
                return root
        for path in inside:
            if path.name.lower().endswith(ARCHIVE_SUFFIXES):
                with contextlib.ExitStack() as stack:
                    files = walk(path, stack).files
                if set(cls.TOP) <= {part for file in files for part in file.parts}:
                    return path
        return None

    def examples(self, files):
        """Finds the labelled images.

        Args:
            files: Dictionary of `File` by the parts of its path below the top.

        Returns:
            The class names, and a dictionary of [(parts, label)] by split.
        """
        raise NotImplementedError

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(self.SIDE, self.SIDE, 3), encoding_format=self.ENCODING
                    ),
                    "label": tfds.features.ClassLabel(),  # named with the files at hand
                }
            ),
            supervised_keys=("image", "label"),
            homepage=self.URL,
        )

    def _split_generators(self, dl_manager):
        self.source = pathlib.Path(self.source or dl_manager.download(self.URL))
        with contextlib.ExitStack() as stack:
            class_names, splits = self.examples(self._files(stack))
        for split, chosen in splits.items():
            if not chosen:
                self._refuse(f"no images in {split}/")
        self.info.features["label"].names = class_names
        return {
            split: self._generate_examples(chosen) for split, chosen in splits.items()
        }

    def _generate_examples(self, chosen):
        with contextlib.ExitStack() as stack:
            files = self._files(stack)
            for parts, label in sorted(chosen, key=lambda one: files[one[0]].position):
                name, content = files[parts].name, files[parts].read()
                size = decode_image(content, name, None, 3).shape[:2]
                if size != (self.SIDE, self.SIDE):
                    self._refuse(f"{name} with {size[0]} x {size[1]} pixels")
                yield "/".join(parts), {"image": content, "label": label}

    def _files(self, stack):
        """Returns {parts below the top: file}; archives have folders around the top."""
        files = walk(self.source, stack).files
        tops = {
            file.parts[: file.parts.index(name)]
            for file in files
            for name in self.TOP
            if name in file.parts
        }
        top = min(tops, key=lambda parts: (len(parts), parts), default=())
        return {
            file.parts[len(top) :]: file
            for file in files
            if file.parts[: len(top)] == top
        }

    def _refuse(self, found):
        raise InputError(
            f"'{self.source}' has {found}, unlike the official archive. "
            f"Replace it with {self.URL}."
        )


class Cinic10(OfficialArchive, skip_registration=True):
    """CINIC-10: 3 x 90,000 images from CIFAR-10 and downsized ImageNet.

    Layout: {train,valid,test}/<class>/*.png.
    """

    URL = "https://datashare.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz"
    SIDE = 32
    ENCODING = "png"
    TOP = ("train", "valid", "test")

    def examples(self, files):
        images = {split: [] for split in self.TOP}
        for parts in files:
            is_image = len(parts) == 3 and parts[2].lower().endswith(".png")
            if is_image and parts[0] in images:
                images[parts[0]].append(parts)
        class_names = sorted(
            {parts[1] for chosen in images.values() for parts in chosen}
        )
        for split, chosen in images.items():
            lacking = set(class_names) - {parts[1] for parts in chosen}
            if lacking:
                self._refuse(f"no images in {split}/{min(lacking)}")
        return class_names, {
            split: [(parts, class_names.index(parts[1])) for parts in chosen]
            for split, chosen in images.items()
        }


class TinyImageNet(OfficialArchive, skip_registration=True):
    """Tiny ImageNet: 100,000 + 10,000 labelled images of 200 classes.

    Layout: wnids.txt has one class a line, words.txt their names; train/<wnid>/images/
    has the training images. val/images/ are in no order: val/val_annotations.txt has
    their classes. The images of test/ have no labels and are left out, as are those of
    classes that wnids.txt does not have.
    """

    name = "tinyimagenet"
    URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    SIDE = 64
    ENCODING = "jpeg"
    TOP = ("train", "val", "wnids.txt")

    def examples(self, files):
        wnids = [line[0] for line in self._table(files, "wnids.txt")]
        labels = {wnid: label for label, wnid in enumerate(wnids)}
        images = [parts for parts in files if parts[-1].lower().endswith(".jpeg")]
        train = [
            (parts, labels[parts[1]])
            for parts in images
            if parts[0] == "train" and parts[2:3] == ("images",) and parts[1] in labels
        ]
        lacking = labels.keys() - {parts[1] for parts, _ in train}
        if lacking:
            self._refuse(f"no images in train/{min(lacking)}")
        annotated = {
            ("val", "images", line[0]): line[1]
            for line in self._table(files, "val", "val_annotations.txt", columns=2)
        }
        found = {parts for parts in images if parts[:2] == ("val", "images")}
        if found != annotated.keys():
            name = min(found ^ annotated.keys())[-1]
            self._refuse(f"{name} only in one of val/images and val_annotations.txt")
        val = [
            (parts, labels[wnid]) for parts, wnid in annotated.items() if wnid in labels
        ]
        words = dict(line[:2] for line in self._table(files, "words.txt", columns=2))
        names = [words.get(wnid, wnid) for wnid in wnids]
        if len(set(names)) < len(names):  # concepts of WordNet may share a name
            names = [f"{name} ({wnid})" for name, wnid in zip(names, wnids)]
        return names, {"train": train, "val": val}

    def _table(self, files, *parts, columns=1):
        """Returns the lines of a text file, split at tabs, without empty ones."""
        name = "/".join(parts)
        if parts not in files:
            self._refuse(f"no {name}")
        lines = [line.strip() for line in files[parts].read().decode().splitlines()]
        table = [line.split("\t") for line in lines if line]
        for line in table:
            if len(line) < columns:
                self._refuse(f"a line '{line[0][:80]}' in {name}")
        return table


BUILDERS = {"cinic10": Cinic10, "tinyimagenet": TinyImageNet}
