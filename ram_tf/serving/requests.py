"""What `tools/serve_client.py` does with files: classify, look step by step, load."""

import csv
import os
import pathlib
import re
import sys

import numpy as np

from ram_tf import data
from ram_tf.errors import InputError, warn
from ram_tf.evaluation import words
from ram_tf.pictures.glimpses import plot_recording
from ram_tf.serving import decoding
from ram_tf.serving.client import drive, load_test
from ram_tf.serving.pointed_file import PointedFile

_BATCH, _BATCH_BYTES = 32, 2**26
# How the server names a file that it cannot decode.
_REFUSED = re.compile(r"image_bytes\[(\d+)\]")


def classify(client, paths, file=sys.stdout):
    """Writes a row of CSV for each image file: class, probability, where it looked."""
    files = [found.path for found in data.find_images(paths, warn)]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("file", "class", "probability", "locations"))
    for batch in _batches(files):
        answer = _classify(client, batch)
        rows = zip(
            batch,
            answer["labels"],
            answer["probabilities"],
            answer["locations"],
            answer.get("scales", [None] * len(batch)),
        )
        for path, label, probabilities, places, scales in rows:
            looked = words.format_places(places, scales)
            writer.writerow((path, _text(label), f"{max(probabilities):.4f}", looked))


def _batches(files):
    """Yields lists of files that one request can hold: few, and not too large."""
    batch, size = [], 0
    for path in files:
        num_bytes = os.path.getsize(path)
        if batch and (len(batch) == _BATCH or size + num_bytes > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += num_bytes
    if batch:
        yield batch


def _classify(client, files):
    """Lets the server decode files; where it cannot, they are decoded here."""
    try:
        return client.call("classify_encoded", {"image_bytes": _contents(files)})
    except InputError as refusal:
        reason = " ".join(str(refusal).split())
        pixels = _decode(client, files, reason)
        answer = client.call("classify_uint8", {"images": pixels})
        index = _REFUSED.search(reason)
        name = files[int(index[1])] if index else f"{files[0]} or one of the next"
        warn(
            f"the server did not decode {name}; {len(files)} file(s) were decoded here "
            f"instead: {reason}"
        )
        return answer


def _decode(client, files, refusal):
    """Decodes files as the server's model was trained on; names all that it cannot."""
    shape, notes = _image_shape(client), data.Notes()
    value_range = _value_range(client, refusal)
    pixels, unread = [], []
    for path in files:
        try:
            pixels.append(data.read_image(path, shape, value_range, notes))
        except InputError as error:
            unread.append(str(error))
    if unread:
        raise InputError(
            f"{len(unread)} of a batch of {len(files)} files cannot be read: "
            f"{' '.join(unread)}"
        )
    for line in notes.lines():
        warn(line)
    return np.stack(pixels)


def _image_shape(client):
    shape = client.image_shape()
    if shape is None:
        raise InputError(
            "the model looks at images that are read in windows, and takes none whole: "
            "look at one file with --step."
        )
    return shape


def _value_range(client, refusal=""):
    """Returns what files of more than 8 bits are read by: each refusal tells it."""
    if not _REFUSED.search(refusal):
        nothing = np.array([b""], object)
        try:
            client.call("classify_encoded", {"image_bytes": nothing})
        except InputError as error:
            refusal = str(error)
    return decoding.told_range(refusal)


def step(client, paths, num_glimpses, seed=0, output=None, report=print):
    """Looks at one image through the step service, reports each step and draws it."""
    if len(paths) != 1:
        raise InputError(f"--step looks at one image, got {len(paths)}.")
    shape = client.image_shape()
    if shape is None:
        seen = PointedFile(client, paths[0])
        steps = _drive(client, seen, num_glimpses, seed, seen.overview(), report)
        report(f"read {seen.bytes_read:,} bytes of {paths[0]}")
        if output:
            _draw(seen.shown(), seen.boxes, steps, output, report)
        return
    notes = data.Notes()
    pixels = data.read_image(paths[0], shape, _value_range(client), notes)
    for line in notes.lines():
        warn(line)
    images = pixels[None].astype("float32") / np.float32(255)
    boxes = []

    def sense(location):
        # Of a sensor that has some: new each time.
        noise = np.array([seed + len(boxes)])
        return client.call(
            "sense", {"images": images, "location": location[None], "seed": noise}
        )

    def sensor(location):
        sensed = sense(location)
        boxes.append(sensed["boxes"][0])
        return sensed["glimpse"][0]

    anywhere = np.zeros(client.shape_of("sense", "location"), np.float32)
    overview = sense(anywhere).get("overview", [None])[0]
    steps = _drive(client, sensor, num_glimpses, seed, overview, report)
    if output:
        _draw({"images": images}, boxes, steps, output, report)


def _drive(client, sensor, num_glimpses, seed, overview, report):
    steps = []
    for answer in drive(client, sensor, num_glimpses, seed, overview):
        steps.append(answer)
        scale = answer["looked_scale"][None] if "looked_scale" in answer else None
        place = words.format_places(answer["looked_at"][None], scale)
        gain = ""
        if "information_gain" in answer:
            gain = f", best gain left {np.max(answer['information_gain']):.4f} nats"
        report(
            f"glimpse {len(steps)} at {place}: {_text(answer['labels'])} "
            f"{np.max(answer['probabilities']):.1%}{gain}"
        )
    return steps


def _draw(shown, boxes, steps, output, report):
    names = [str(index) for index in range(len(steps[0]["probabilities"]))]
    best = int(np.argmax(steps[-1]["probabilities"]))
    names[best] = _text(steps[-1]["labels"])
    plot_recording(_recording(shown, steps, boxes), pathlib.Path(output), names)
    report(f"wrote {output}, and its numbers beside it as .npz")


def load(connect, paths, seconds, num_clients, report=print):
    """Sends good and bad requests from many clients at once and reports the outcome."""
    client = connect()
    shape = _image_shape(client)
    draw = np.random.default_rng(0)
    images = draw.random((17, *shape), "float32")
    good = [
        ("serving_default", {"images": images[:1]}),
        ("serving_default", {"images": images}),
        ("classify_uint8", {"images": (255 * images[:1]).astype(np.uint8)}),
        ("classify_seeded", {"images": images[:2], "seed": np.array([3, 4])}),
        (
            "sense",
            {
                "images": images[:1],
                "location": np.zeros(
                    (1, *client.shape_of("sense", "location")), np.float32
                ),
                "seed": np.array([6]),
            },
        ),
    ]
    sensed = client.call(*good[-1])
    first = {name: sensed[name] for name in ("overview",) if name in sensed}
    good.append(("start", {"seed": np.array([5]), **first}))
    bad = [
        ("serving_default", {"images": images[:, 1:]}),
        ("serving_default", {"images": images[0]}),
        ("serving_default", {"pixels": images}),
        ("classify_encoded", {"image_bytes": np.array([b"\x89PNG cut"], object)}),
        ("no_such_signature", {"images": images}),
    ]
    if paths:
        files = [found.path for found in data.find_images(paths)[:_BATCH]]
        contents = _contents(files)
        good.append(("classify_encoded", {"image_bytes": contents}))
        cut = np.array([contents[0][: len(contents[0]) // 2]], object)
        bad.append(("classify_encoded", {"image_bytes": cut}))
    result = load_test(connect, good, bad, seconds, num_clients)
    report(
        f"{num_clients} clients, {seconds:g} s: {result['answered']} good requests "
        f"answered, {result['refused']} bad ones refused, {result['wrong']} wrong "
        f"answers, {result['lost']} lost; latency p50 {result['p50_ms']:.1f} ms, p99 "
        f"{result['p99_ms']:.1f} ms"
    )
    return result


def _recording(shown, steps, boxes):
    """What `pictures` draws, from the answers of the step service."""
    gathered = {
        **shown,
        "locations": np.stack([each["looked_at"] for each in steps])[None],
        "boxes": np.stack(boxes)[None],
        "probabilities": np.stack([each["probabilities"] for each in steps])[None],
        "glimpses": np.stack([each["glimpse"] for each in steps])[None],
    }
    if "information_gain" in steps[0] and len(steps) > 1:
        gain = np.stack([each["information_gain"] for each in steps[:-1]])[None]
        gathered["gain"] = np.where(gain < 0, -np.inf, gain)
    return gathered


def _contents(files):
    contents = np.empty((len(files),), object)
    contents[:] = [pathlib.Path(path).read_bytes() for path in files]
    return contents


def _text(label):
    is_bytes = isinstance(label, bytes)
    return label.decode(errors="surrogateescape") if is_bytes else str(label)
