"""A trained model as signatures for TensorFlow Serving."""

import keras
import numpy as np
import tensorflow as tf

from ram_tf import random
from ram_tf.errors import InputError
from ram_tf.pixels import check_pixels
from ram_tf.serving import decoding
from ram_tf.serving.answers import Labels
from ram_tf.serving.classifier import Classifier
from ram_tf.serving.steps import Steps

_CHECKED_BATCHES = (1, 3)


class Served:
    """A trained model as functions of flat tensors, all deterministic.

    Every example has a seed of its own, so an answer depends on nothing else in the
    batch. Where a request gives none, every example has seed 0.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        sampled: The policy of requests that give a seed.
        num_glimpses: Int.
        image_shape: `(height, width, channels)`; `(None, None, channels)` of a model
            of images that are read in windows, which has the step service alone.
        class_names: Sequence of strings.
        mc_samples: Int. Sampled sequences of glimpses that are averaged.
        stop_epsilon: Float or `None`, see `AttentionModel.make_stop_rule`.
        value_range: What files of more than 8 bits are read by, see
            `data.decode_image`.
    """

    def __init__(
        self,
        network,
        policy,
        sampled,
        num_glimpses,
        image_shape,
        class_names,
        mc_samples=1,
        stop_epsilon=None,
        value_range=None,
    ):
        self.network = network
        self.num_glimpses = num_glimpses
        self.image_shape = tuple(image_shape)
        self.class_names = tuple(class_names)
        self.mc_samples = mc_samples
        self.value_range = value_range
        self.rule = (
            None if stop_epsilon is None else network.make_stop_rule(stop_epsilon)
        )
        labels = Labels(class_names)
        self._classifiers = {
            kind: Classifier(network, each, num_glimpses, mc_samples, labels, self.rule)
            for kind, each in {"shown": policy, "sampled": sampled}.items()
        }
        self._steps = Steps(
            network, policy, num_glimpses, labels, self.rule, image_shape[-1]
        )
        self.takes_images = None not in self.image_shape
        self.glimpse_shape = self._sensed_shape()
        self.signatures = self._signatures()
        if self.rule is not None and not self._knows_when_to_stop():
            raise InputError(
                f"{type(policy).__name__} says nothing that {self.rule} could read: "
                "leave --stop_epsilon out."
            )

    @classmethod
    def from_trained(cls, restored, mc_samples=None, stop_epsilon=None):
        """Builds it from what `experiment.restore` returned."""
        shown, learned = restored.pick(), restored.pick("learned")
        if mc_samples is not None and mc_samples < 1:
            raise InputError(f"mc_samples must be at least 1, got {mc_samples}.")
        return cls(
            restored.network,
            shown if mc_samples is None else learned,
            learned,
            restored.config.train.num_glimpses,
            restored.image_shape,
            restored.class_names,
            mc_samples or 1,
            stop_epsilon,
            restored.value_range,
        )

    def _knows_when_to_stop(self):
        look = self.signatures["look"].get_concrete_function()
        return "stop" in look.structured_outputs

    def _sensed_shape(self):
        network = self.network
        if not self.takes_images:
            place = (1, 1, 2)
            shape = network.retina.compute_output_shape((1, *self.image_shape), place)
        else:
            empty = {"images": tf.zeros((1, *self.image_shape))}
            place = tf.zeros((1, 1, network.num_coordinates))
            shape = network.sense(empty, place, seed=random.make_seed(0)).shape
        return tuple(shape[2:])

    def _signatures(self):
        """Returns name -> `tf.function` of named tensors."""

        def spec(name, shape=(), dtype="float32"):
            return tf.TensorSpec((None, *shape), dtype, name=name)

        images, seed = spec("images", self.image_shape), spec("seed", (), "int64")
        location = spec("location", (self.network.num_coordinates,))
        pixels = spec("images", self.image_shape, "uint8")
        state = [spec(name, *kind) for name, kind in self._steps.state_specs().items()]
        glimpse = spec("glimpse", self.glimpse_shape)
        shape = self.network.overview_shape
        overview = [] if shape is None else [spec("overview", shape)]
        files = spec("image_bytes", (), "string")
        functions = {
            "start": (self._steps.start, [seed, *overview]),
            "look": (self._steps.look, [glimpse, location, *state]),
        }
        if self.takes_images:
            functions |= {
                "serving_default": (self._classify, [images]),
                "classify_uint8": (self._classify, [pixels]),
                "classify_seeded": (self._classifiers["sampled"], [images, seed]),
                "classify_encoded": (self._classify_encoded, [files]),
                "sense": (self._steps.sense, [images, location, seed]),
            }
        else:
            size = spec("image_size", (2,), "int32")
            functions["sensor"] = (self._steps.sensor, [location, size])
        return {
            name: tf.function(function, specs, autograph=False)
            for name, (function, specs) in functions.items()
        }

    def _classify(self, images):
        """Classifies images, floats in [0, 1] or bytes."""
        seed = tf.zeros((tf.shape(images)[0],), tf.int64)
        return self._classifiers["shown"](_as_floats(images), seed)

    def _classify_encoded(self, image_bytes):
        """Classifies JPEG and PNG files, cropped and resized as in training."""
        height, width, channels = self.image_shape
        images = decoding.decode_batch(
            image_bytes, (height, width), channels, self.value_range
        )
        return self._classify(images)

    def write(self, folder):
        """Writes the SavedModel."""
        archive = keras.export.ExportArchive()
        archive.track(self.network)
        for name, function in self.signatures.items():
            function.get_concrete_function()  # Only what is traced can be added.
            archive.add_endpoint(name, function)
        archive.write_out(str(folder), verbose=False)

    def answer(self, name, inputs):
        """Answers a request in memory, as arrays; refuses images that are none."""
        function = self.signatures[name]
        specs = function.input_signature
        if "images" in inputs:
            check_pixels(np.asarray(inputs["images"]))
        answers = function(*(tf.constant(inputs[spec.name]) for spec in specs))
        arrays = {key: np.asarray(value) for key, value in answers.items()}
        # Strings as bytes of one length, which a file can hold.
        return {
            key: value.astype("S") if value.dtype == object else value
            for key, value in arrays.items()
        }

    def examples(self):
        """Requests for every signature, name -> list of dictionaries of arrays."""
        draw = np.random.default_rng(0)
        if not self.takes_images:
            return self._step_examples(draw)
        requests = {name: [] for name in self.signatures}
        for batch in _CHECKED_BATCHES:
            pixels = draw.integers(0, 256, (batch, *self.image_shape), dtype=np.uint8)
            images = (pixels / 255.0).astype("float32")
            seed = np.arange(batch, dtype="int64")
            encoded = [tf.io.encode_png(image).numpy() for image in _drawable(pixels)]
            requests["serving_default"].append({"images": images})
            requests["classify_uint8"].append({"images": pixels})
            requests["classify_seeded"].append({"images": images, "seed": seed})
            requests["classify_encoded"].append({"image_bytes": np.array(encoded)})
            place = (batch, self.network.num_coordinates)
            location = draw.uniform(-1, 1, place).astype("float32")
            requests["sense"].append(
                {"images": images, "location": location, "seed": seed}
            )
            sensed = self.answer("sense", requests["sense"][-1])
            first = {name: sensed[name] for name in ("overview",) if name in sensed}
            requests["start"].append({"seed": seed, **first})
            started = self.answer("start", requests["start"][-1])
            started.pop("scale", None)  # Told, and not asked for.
            requests["look"].append({**started, "glimpse": sensed["glimpse"]})
        return requests

    def _step_examples(self, draw):
        requests = {name: [] for name in self.signatures}
        shape = self.network.overview_shape
        for batch in _CHECKED_BATCHES:
            seed = np.arange(batch, dtype="int64")
            glimpse = draw.random((batch, *self.glimpse_shape), dtype="float32")
            first = {}
            if shape is not None:
                first["overview"] = draw.random((batch, *shape), dtype="float32")
            requests["start"].append({"seed": seed, **first})
            started = self.answer("start", requests["start"][-1])
            requests["look"].append({**started, "glimpse": glimpse})
            size = draw.integers(1, 2**17, (batch, 2), dtype="int32")
            location = draw.uniform(-1, 1, (batch, 2)).astype("float32")
            requests["sensor"].append({"location": location, "image_size": size})
        return requests

    def preprocessing(self):
        """What a client has to know, as plain values."""
        whole = {
            "image_shape": self.image_shape,
            "pixels": "float32 in [0, 1], or uint8 for classify_uint8",
            "encoded": "JPEG or PNG, turned as its EXIF says, transparency laid on "
            "white; cropped around the centre to the ratio of the image shape, resized "
            "with antialiased bilinear interpolation; any other file is refused",
        }
        return {
            **(whole if self.takes_images else {}),
            "value_range": self.value_range,
            "values": "of a PNG of more than 8 bits, value_range from black to white; "
            "null: all that its bits can hold",
            "glimpse_shape": self.glimpse_shape,
            "glimpse_sides": self.network.glimpse_sides,
            "overview_shape": self.network.overview_shape,
            "num_glimpses": self.num_glimpses,
            "mc_samples": self.mc_samples,
            "stop_epsilon": None if self.rule is None else self.rule.epsilon,
            "stops": None if self.rule is None else self.rule.describe(),
            "locations": self._describe_locations(),
            "sensor": self.network.describe_sensor(),
        }

    def _describe_locations(self):
        if self.network.zoom is None:
            return "(x, y) in [-1, 1]; (-1, -1) is the top-left corner"
        return (
            "(x, y, z) in [-1, 1]; (-1, -1) is the top-left corner, z -1 the smallest "
            "scale and 1 the largest; scales: what the sides of a glimpse are times"
        )


def _as_floats(images):
    is_bytes = not keras.backend.is_float_dtype(images.dtype)
    return tf.cast(images, tf.float32) / 255.0 if is_bytes else images


def _drawable(pixels):
    """Pixels as a PNG can hold them."""
    return pixels if pixels.shape[-1] in (1, 3, 4) else pixels[..., :1]
