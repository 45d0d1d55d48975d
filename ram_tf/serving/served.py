"""A trained model as signatures for TensorFlow Serving."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.errors import InputError
from ram_tf.models.rollout import first_choice, next_choice, rollout
from ram_tf.ops import clip_locations
from ram_tf.pixels import check_pixels
from ram_tf.serving import decoding

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
        image_shape: `(height, width, channels)`.
        class_names: Sequence of strings.
        mc_samples: Int. Sampled sequences of glimpses that are averaged.
        stop_epsilon: Float or `None`, see `AttentionModel.may_stop`.
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
    ):
        if stop_epsilon is not None:
            network.check_epsilon(stop_epsilon)
        self.network = network
        self.policy = policy
        self.sampled = sampled
        self.num_glimpses = num_glimpses
        self.image_shape = tuple(image_shape)
        self.class_names = tuple(class_names)
        # As names of folders are, which need not be text.
        self._labels = [name.encode(errors="surrogateescape") for name in class_names]
        self.mc_samples = mc_samples
        self.stop_epsilon = stop_epsilon
        # Traced once and called by every signature that classifies.
        self._traced = tf.function(self._classify, autograph=False)
        place = tf.zeros((1, 1, 2))
        empty = {"images": tf.zeros((1, *image_shape))}
        sensed = network.sense(empty, place, seed=random.make_seed(0))
        self.glimpse_shape = tuple(sensed.shape[2:])
        self.signatures = self._signatures()

    @classmethod
    def from_trained(cls, restored, mc_samples=None, stop_epsilon=None):
        """Builds it from what `trained.restore` returned."""
        shown, learned = restored.pick(), restored.pick("learned")
        if mc_samples is not None and mc_samples < 1:
            raise InputError(f"mc_samples must be at least 1, got {mc_samples}.")
        served = cls(
            restored.network,
            shown if mc_samples is None else learned,
            learned,
            restored.config.train.num_glimpses,
            restored.image_shape,
            restored.class_names,
            mc_samples or 1,
            stop_epsilon,
        )
        if stop_epsilon is not None and not served.knows_when_to_stop:
            raise InputError(
                f"nothing in the family {restored.config.family} says when to stop "
                "looking: leave --stop_epsilon out."
            )
        return served

    @property
    def knows_when_to_stop(self):
        look = self.signatures["look"].get_concrete_function()
        return "stop" in look.structured_outputs

    def _signatures(self):
        """Returns name -> `tf.function` of named tensors."""

        def spec(name, shape=(), dtype="float32"):
            return tf.TensorSpec((None, *shape), dtype, name=name)

        images, seed = spec("images", self.image_shape), spec("seed", (), "int64")
        location = spec("location", (2,))
        pixels = spec("images", self.image_shape, "uint8")
        state = [
            spec(name, value.shape[1:], value.dtype)
            for name, value in self._flat(self._first_state(1)).items()
        ]
        glimpse = spec("glimpse", self.glimpse_shape)
        shape = self.network.overview_shape
        overview = [] if shape is None else [spec("overview", shape)]
        functions = {
            "serving_default": (self.classify, [images]),
            "classify_uint8": (self.classify, [pixels]),
            "classify_seeded": (self.classify_seeded, [images, seed]),
            "classify_encoded": (
                self.classify_encoded,
                [spec("image_bytes", (), "string")],
            ),
            "start": (self.start, [seed, *overview]),
            "look": (self.look, [glimpse, location, *state]),
            "sense": (self.sense, [images, location, seed]),
        }
        return {
            name: tf.function(function, specs, autograph=False)
            for name, (function, specs) in functions.items()
        }

    def classify(self, images):
        """Classifies images, floats in [0, 1] or bytes."""
        seed = tf.zeros((tf.shape(images)[0],), tf.int64)
        return self._traced(_as_floats(images), seed, self.policy)

    def classify_seeded(self, images, seed):
        """Classifies with sampled glimpses; the same seed gives the same ones."""
        return self._traced(images, seed, self.sampled)

    def classify_encoded(self, image_bytes):
        """Classifies JPEG and PNG files, cropped and resized as in training."""
        height, width, channels = self.image_shape
        images = decoding.decode_batch(image_bytes, (height, width), channels)
        return self.classify(images)

    def start(self, seed, overview=None):
        """Returns the state before the first glimpse, and where to take it."""
        state = self._first_state(tf.shape(seed)[0], overview)
        state["seed"] = seed
        key = _key(seed, 0)
        choice, _ = self._first_choice(state["network"], key)
        return {**self._flat(state), "location": clip_locations(choice.action)}

    def look(self, glimpse, location, *flat):
        """Takes a glimpse in; returns the belief, and where to look next."""
        names = self._flat(self._first_state(1))
        state = self._unflat(dict(zip(names, flat)))
        network, before = self.network, state["network"]
        features = network.encode(
            network.normalize(glimpse)[:, None], location[:, None]
        )
        features = keras.tree.map_structure(lambda tensor: tensor[:, 0], features)
        after = network.integrate(features, location, before)
        read = network.read(after["hidden"][:, None])
        probabilities = ops.softmax(read.pop("logits"))[:, 0]
        answer = self._predict(probabilities)
        key, step = _key(state["seed"], 0), state["step"]
        _, plan = self._first_choice(after, key)
        seed = random.decision_seed(key, step, self.num_glimpses)
        choice = next_choice(network, self.policy, {}, after, plan, step, seed)
        if "gain" in choice.extras:
            answer["information_gain"] = self._on_grid(choice.extras["gain"])
        read |= {name: value[:, None] for name, value in choice.extras.items()}
        doubt = network.doubt(read)
        if doubt is not None:
            answer["stop"] = self._may_stop(probabilities, doubt[:, 0])
        state = {"network": after, "seed": state["seed"], "step": step + 1}
        return {
            **answer,
            **self._flat(state),
            "location": clip_locations(choice.action),
        }

    def sense(self, images, location, seed):
        """A sensor over a whole image: the glimpse at a location, in [0, 1].

        With the pixels that it covers, see `AttentionModel.glimpse_boxes`, and the
        coarse view of the whole where `start` takes one. What a sensor adds of its own
        depends on the seed alone: on that of `classify_seeded`, as its first glimpse.
        """
        network = self.network
        noise = random.rollout_seeds(_key(seed, 0), self.num_glimpses).sense[0]
        glimpses = network.sense({"images": images}, location[:, None], seed=noise)
        sensed = {
            "glimpse": network.denormalize(glimpses[:, 0]),
            "boxes": network.glimpse_boxes(location, self.image_shape[:2]),
        }
        if network.overview_shape is not None:
            sensed["overview"] = network.overview(images)
        return sensed

    def _classify(self, images, seed, policy):
        network = self.network
        draws = network.draws(policy)
        copies = self.mc_samples if draws else 1
        if not draws:
            seeds = random.make_seed(0)  # Unused; one an example would cost time.
        else:
            keys = [_key(seed, copy) for copy in range(copies)]
            seeds = tf.reshape(tf.stack(keys, axis=1), (-1, 2))
        looked = rollout(
            network,
            policy,
            network.prepare(images),
            self.num_glimpses,
            seed=seeds,
            copies=copies,
        )

        def by_copy(tensor):
            return ops.reshape(tensor, (-1, copies, *tensor.shape[1:]))

        each_glimpse = ops.mean(by_copy(ops.softmax(looked.logits)), axis=1)
        num_glimpses = tf.fill(tf.shape(images)[:1], self.num_glimpses)
        extra = {}
        if "gain" in looked.extras:
            gain = by_copy(looked.extras["gain"])
            extra["information_gain"] = self._on_grid(gain[:, 0])
        doubt = network.doubt(looked.extras)
        if doubt is not None:
            doubt = ops.mean(by_copy(doubt), axis=1)[:, : self.num_glimpses - 1]
            belief = each_glimpse[:, : self.num_glimpses - 1]
            stops = self._may_stop(belief, doubt)
            # After the last glimpse it stops anyway.
            stops = tf.pad(stops, [[0, 0], [0, 1]], constant_values=True)
            num_glimpses = 1 + tf.argmax(stops, axis=1, output_type=tf.int32)
        last = tf.gather(each_glimpse, num_glimpses - 1, axis=1, batch_dims=1)
        return {
            **self._predict(last),
            **extra,
            "probabilities_per_glimpse": each_glimpse,
            "locations": by_copy(looked.locations)[:, 0],
            "num_glimpses": num_glimpses,
        }

    def _predict(self, probabilities):
        best = ops.argmax(probabilities, axis=-1)
        return {
            "probabilities": probabilities,
            "classes": tf.cast(best, tf.int64),
            "labels": tf.gather(tf.constant(self._labels), best),
        }

    def _first_choice(self, state, key):
        """The first choice and the plan, see `first_choice`."""
        start = random.rollout_seeds(key, self.num_glimpses).start
        return first_choice(
            self.network, self.policy, {}, state, self.num_glimpses, start
        )

    def _on_grid(self, gain):
        """Gains `(..., cells)` on the grid; -1 where seen, as JSON has no infinity."""
        gain = ops.where(gain < 0, -1.0, gain)
        return ops.reshape(gain, (-1, *gain.shape[1:-1], *self.network.grid))

    def _may_stop(self, probabilities, doubt):
        if self.stop_epsilon is None:
            return tf.zeros(tf.shape(probabilities)[:-1], tf.bool)
        return self.network.may_stop(probabilities, doubt, self.stop_epsilon)

    def _first_state(self, batch_size, overview=None):
        if overview is None:
            shape = self.network.overview_shape or (1, 1, 1)
            overview = tf.zeros((batch_size, *shape))
        context = self.network.first_context(overview)
        return {
            "network": self.network.initial_state(context),
            "seed": tf.zeros((batch_size,), tf.int64),
            "step": tf.zeros((batch_size,), tf.int32),
        }

    def _flat(self, state):
        """The state as a flat dictionary of tensors."""
        return {
            "_".join(["state", *map(str, path)]): value
            for path, value in keras.tree.flatten_with_path(state)
        }

    def _unflat(self, flat):
        template = self._first_state(1)
        return keras.tree.pack_sequence_as(
            template, [flat[name] for name in self._flat(template)]
        )

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
        height, width, channels = self.image_shape
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
            location = draw.uniform(-1, 1, (batch, 2)).astype("float32")
            requests["sense"].append(
                {"images": images, "location": location, "seed": seed}
            )
            sensed = self.answer("sense", requests["sense"][-1])
            first = {name: sensed[name] for name in ("overview",) if name in sensed}
            requests["start"].append({"seed": seed, **first})
            started = self.answer("start", requests["start"][-1])
            requests["look"].append({**started, "glimpse": sensed["glimpse"]})
        return requests

    def preprocessing(self):
        """What a client has to know, as plain values."""
        return {
            "image_shape": self.image_shape,
            "pixels": "float32 in [0, 1], or uint8 for classify_uint8",
            "encoded": "JPEG or PNG, turned as its EXIF says, transparency laid on "
            "white; cropped around the centre to the ratio of the image shape, resized "
            "with antialiased bilinear interpolation; any other file is refused",
            "glimpse_shape": self.glimpse_shape,
            "glimpse_sides": self.network.glimpse_sides,
            "overview_shape": self.network.overview_shape,
            "num_glimpses": self.num_glimpses,
            "mc_samples": self.mc_samples,
            "stop_epsilon": self.stop_epsilon,
            "locations": "(x, y) in [-1, 1]; (-1, -1) is the top-left corner",
            "sensor": self.network.describe_sensor(),
        }


def _as_floats(images):
    is_bytes = not keras.backend.is_float_dtype(images.dtype)
    return tf.cast(images, tf.float32) / 255.0 if is_bytes else images


def _drawable(pixels):
    """Pixels as a PNG can hold them."""
    return pixels if pixels.shape[-1] in (1, 3, 4) else pixels[..., :1]


def _key(seed, copy):
    """Seeds `(batch, 2)` of the copies of examples with seeds `(batch,)`."""
    low = tf.cast(tf.math.floormod(seed, 2**31 - 1), tf.int32)
    return tf.stack([low, tf.fill(tf.shape(low), copy)], axis=-1)
