"""A file of a large image as a sensor that can only be pointed."""

import numpy as np
import tensorflow as tf

from ram_tf.data.windows import Windows, open_reader
from ram_tf.models import WindowSensor
from ram_tf.pictures.record import thumbnails


class PointedFile:
    """Reads of a file what a served model wants to see, and nothing else.

    Args:
        client: A `GrpcClient` or `RestClient`, of a model of images read in windows.
        path: Path of the file.

    Attributes:
        boxes: List of int arrays `(scales, 4)`, of what was read.

    Call arguments:
        location: Float array `(2,)`, (x, y) in [-1, 1].

    Returns:
        A glimpse as the service's `look` takes it.

    Raises:
        InputError: If the file cannot be read in windows.
    """

    def __init__(self, client, path):
        self.client = client
        self.boxes = []
        told = client.call(
            "sensor",
            {
                "location": np.zeros((1, 2), np.float32),
                "image_size": np.ones((1, 2), np.int32),
            },
        )
        self.told = {name: value[0] for name, value in told.items()}
        channels = int(self.told["channels"])
        self.windows = Windows([open_reader(path, channels=channels)])
        self._sensor = WindowSensor(self.windows)

    def __call__(self, location):
        place = np.asarray(location, np.float32)[None]
        size = np.asarray(self.windows.sizes, np.int32)
        told = self.client.call("sensor", {"location": place, "image_size": size})
        boxes = np.asarray(told["boxes"][0])
        self.boxes.append(boxes)
        sides = (boxes[:, 2] - boxes[:, 0]).tolist()
        glimpses, inside = self._sensor.glimpses(
            tf.zeros((1,), tf.int32),
            tf.constant(place[:, None]),
            sides,
            int(self.told["size"]),
        )
        outside = np.float32(self.told["outside"])
        return (glimpses + (1 - inside) * outside).numpy()[0, 0]

    @property
    def bytes_read(self):
        """Bytes that were read of the file's pixels so far."""
        return self.windows.counts.bytes_read

    def overview(self):
        """The coarse view that the service's `start` takes, or `None`."""
        size = int(self.told["overview_size"])
        if not size:
            return None
        return self._sensor.overview(tf.zeros((1,), tf.int32), size).numpy()[0]

    def shown(self):
        """What is drawn of the file, see `pictures.record.thumbnails`."""
        return thumbnails(self.windows, np.zeros(1, int))
