"""Files of a folder or an archive, decoded into memory."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ram_tf.data.decode import decode_image
from ram_tf.errors import InputError

# Compressed bytes of so many images are in memory at a time.
CHUNK = 256


# What the data set says about its images, by name.
def decode_all(
    groups,
    image_size,
    any_size,
    channels,
    max_gigabytes,
    *,
    value_range=None,
    notes=None,
):
    """Returns {split: images}, decoded by threads in the order of the archive.

    The images of a split are one array, or a list of them where any size will do.
    """
    targets = [
        (entry, split, index)
        for split, examples in groups.items()
        for index, (entry, _) in enumerate(examples)
    ]
    targets.sort(key=lambda target: target[0].position)
    first = targets[0][0]
    size = image_size
    if size is None:
        content = first.read()
        size = decode_image(content, first.name, None, channels, value_range).shape[:2]

    def check_memory(gigabytes, what):
        if gigabytes > max_gigabytes:
            raise InputError(
                f"{what} take {gigabytes:.3g} GB, more than max_gigabytes="
                f"{max_gigabytes}. Use a lower `data.image_size`, or "
                "`data.channels=1`, or raise the limit."
            )

    if any_size:
        arrays = {split: [None] * len(examples) for split, examples in groups.items()}
    else:
        check_memory(
            len(targets) * size[0] * size[1] * channels / 1e9,
            f"{len(targets)} images of {size[0]} x {size[1]} x {channels}",
        )
        arrays = {
            split: np.empty((len(examples), *size, channels), np.uint8)
            for split, examples in groups.items()
        }
    decoded = []

    def decode(target, content):
        entry, split, index = target
        image = decode_image(
            content, entry.name, image_size, channels, value_range, notes
        )
        if not any_size and image.shape[:2] != size:
            raise InputError(
                f"The images differ in size: '{first.name}' has {size[0]} x {size[1]} "
                f"pixels, '{entry.name}' {image.shape[0]} x {image.shape[1]}. "
                "Set `data.image_size` to resize them, or `data.square` to keep them."
            )
        arrays[split][index] = image
        decoded.append(image.nbytes)

    remaining = iter(targets)
    with ThreadPoolExecutor() as pool:
        while chunk := list(itertools.islice(remaining, CHUNK)):
            contents = [entry.read() for entry, _, _ in chunk]
            list(pool.map(decode, chunk, contents))
            check_memory(
                sum(decoded) / 1e9, f"The first {len(decoded)} of {len(targets)} images"
            )
    return arrays
