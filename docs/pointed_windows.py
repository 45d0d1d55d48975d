"""Points a sensor at a large image by an exported model, and reads its glimpses alone.

python docs/pointed_windows.py models/hunt/1 slide.tif 4
"""

import sys

import numpy as np
import tensorflow as tf

from ram_tf.data.windows import Windows, open_reader


class PointedSensor:
    """A file of a large image, of which one place is seen at a time.

    Args:
        path: Path of the file.
        sides: Sides in pixels of what a glimpse sees, finest first.
        size: Side in pixels of what it becomes.
        channels: 1 or 3.
        outside: What counts as outside of the image, in [0, 1].
    """

    def __init__(self, path, sides, size, channels, outside):
        self.windows = Windows([open_reader(path, channels=channels)])
        self.sides, self.size, self.outside = sides, size, outside
        self.place = (0.0, 0.0)

    def move(self, x, y):
        """Points at (x, y) in [-1, 1]; (-1, -1) is the top left corner."""
        self.place = (float(x), float(y))

    def read(self):
        """Returns the glimpse there: `(scales, size, size, channels)`, in [0, 1]."""
        place = np.array([[self.place]], np.float32)
        glimpses, inside = self.windows.cut([0], place, self.sides, self.size)
        return (glimpses + (1 - inside) * self.outside)[0, 0]


def look(model, path, num_glimpses):
    """Yields of each glimpse (x, y), the class believed in then, and the sensor."""
    somewhere, any_size = tf.zeros((1, 2)), tf.ones((1, 2), "int32")
    told = model["sensor"](location=somewhere, image_size=any_size)
    boxes = told["boxes"][0].numpy()
    size, channels = int(told["size"][0]), int(told["channels"][0])
    outside, sides = told["outside"][0].numpy(), boxes[:, 2] - boxes[:, 0]
    sensor = PointedSensor(path, sides, size, channels, outside)
    state = model["start"](seed=tf.zeros((1,), tf.int64))
    for _ in range(num_glimpses):
        location = state["location"]
        sensor.move(*location[0])
        names = {n: t for n, t in state.items() if n.startswith("state_")}
        glimpse = tf.constant(sensor.read()[None])
        state = model["look"](glimpse=glimpse, location=location, **names)
        yield location[0].numpy(), state["labels"][0].numpy().decode(), sensor


if __name__ == "__main__":
    folder, image, count = sys.argv[1:]
    signatures = tf.saved_model.load(folder).signatures
    steps = list(look(signatures, image, int(count)))
    for where, label, _ in steps:
        print(f"{where.round(3)}: {label}")
    print(f"read {steps[-1][-1].windows.counts.bytes_read:,} bytes")
