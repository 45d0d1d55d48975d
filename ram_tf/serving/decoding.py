"""Image files to pixels in the graph, as `data.decode_image` does outside of it.

JPEG and PNG are read. Any other file, and what TensorFlow's decoders would show in
another way than Pillow does, is refused with its index in the batch and the reason.
"""

import functools
import re

import tensorflow as tf

from ram_tf.data import levels

# More is refused here: what claims so many may be a trap, and TensorFlow decodes no
# more than 2^29 numbers.
_MOST_PIXELS = 2**29 // 3
_RANGE = re.compile(r"data\.value_range=\((-?[\d.e+-]+), (-?[\d.e+-]+)\)")
_ALL = 2**31 - 1  # Longer than any string.
# Says how colours are stored; without it, Pillow and TensorFlow differ about CMYK.
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64" + bytes(5)
_BARE_MARKERS = (0x01, *range(0xD0, 0xD8))
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
# Where Pillow also looks for an orientation: XMP, and ImageMagick's text in a PNG.
_OTHER_ORIENTATION = (
    r"\C*(tiff:Orientation(=\"|>)[2-9]"
    r"|XML:com\.adobe\.xmp\x00\x01|Raw profile type exif)\C*"
)


def decode_batch(contents, size, channels, value_range=None):
    """Decodes a batch of files.

    Args:
        contents: String tensor `(batch,)`.
        size: `(height, width)` to crop around the centre and resize to.
        channels: 1 or 3.
        value_range: As for `data.decode_image`. A refusal tells it, so that a client
            can send pixels that were read by it.

    Returns:
        Tensor `(batch, height, width, channels)`, uint8.
    """
    value_range = levels.check_range(value_range)
    return tf.map_fn(
        lambda pair: _decode(*pair, size, channels, value_range),
        (contents, tf.range(tf.shape(contents)[0])),
        fn_output_signature=tf.TensorSpec((*size, channels), tf.uint8),
    )


def told_range(refusal):
    """Returns the `value_range` that a refusal of `decode_batch` tells, or `None`."""
    found = _RANGE.search(refusal)
    return None if found is None else tuple(map(float, found.groups()))


def _decode(content, index, size, channels, value_range):
    raw = tf.io.decode_raw(tf.strings.join([content, "\0"]), tf.uint8)
    name = tf.strings.join(["image_bytes[", tf.strings.as_string(index), "]: "])
    is_jpeg, is_png = (
        tf.strings.substr(tf.strings.join([content, "\0" * 8]), 0, len(start)) == start
        for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
    )
    told = "" if value_range is None else f", read by data.value_range={value_range}"
    check = functools.partial(_check, name, told)
    with check(is_jpeg | is_png, "neither JPEG nor PNG: send pixels instead"):
        colours = tf.cond(
            is_jpeg,
            lambda: _decode_jpeg(content, raw, check),
            lambda: _decode_png(content, raw, check, value_range),
        )
    if channels == 1:
        colours = tf.image.rgb_to_grayscale(colours)
    return _fit(colours, size)


def _decode_jpeg(content, raw, check):
    def step(at, exif, frame, adobe):
        marker, payload = _number(raw, at + 1, 1), at + 4
        is_exif = (marker == 0xE1) & _is_text(raw, payload, b"Exif\0\0")
        is_frame = (marker >= 0xC0) & (marker <= 0xCF) & ~_is_one(marker, _NO_FRAMES)
        bare = _is_one(marker, _BARE_MARKERS)
        length = 2 + tf.where(bare, _long(0), _number(raw, at + 2, 2))
        return (
            at + tf.where(marker == 0xFF, _long(1), length),
            tf.where(is_exif & (exif == 0), payload + 6, exif),
            tf.where(is_frame, at, frame),
            adobe | ((marker == 0xEE) & _is_text(raw, payload, b"Adobe")),
        )

    scan, end = 0xFFDA, 0xFFD9
    at, exif, frame, adobe = tf.while_loop(
        lambda at, *_: (
            (_number(raw, at, 1) == 0xFF) & ~_is_one(_number(raw, at, 2), (scan, end))
        ),
        step,
        (_long(2), _long(0), _long(0), tf.constant(False)),
    )
    ends = (raw[at:-1] == end >> 8) & (raw[at + 1 :] == end & 255)
    is_whole = (_number(raw, at, 2) == scan) & tf.reduce_any(ends)
    height, width = _number(raw, frame + 5, 2), _number(raw, frame + 7, 2)
    components = tf.where(frame > 0, _number(raw, frame + 9, 1), _long(0))
    with (
        check(is_whole, "a JPEG that is broken or cut short"),
        check(height * width <= _MOST_PIXELS, "too many pixels"),
    ):
        rest = tf.strings.substr(content, 2, _ALL)
        marked = tf.strings.join([b"\xff\xd8", _ADOBE, rest])
        content = tf.where((components == 4) & ~adobe, marked, content)
    turned = _read_orientation(content, raw, exif, check)
    pixels = tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE")
    return _turn(pixels, turned)


def _decode_png(content, raw, check, value_range):
    def step(at, exif, is_transparent, ended):
        payload = at + 8
        is_kind = functools.partial(_is_text, raw, at + 4)
        return (
            payload + _number(raw, at, 4) + 4,
            tf.where(is_kind(b"eXIf"), payload, exif),
            is_transparent | is_kind(b"tRNS"),
            is_kind(b"IEND"),
        )

    size = tf.shape(raw, tf.int64)[0] - 1
    colour_type = _number(raw, 25, 1)
    at, exif, is_transparent, ended = tf.while_loop(
        lambda at, _, __, ended: ~ended & (at < size),
        step,
        (_long(8), _long(0), colour_type >= 4, tf.constant(False)),
    )
    is_deep = _number(raw, 24, 1) == 16
    # Colours of 16 bits are cut to 8; several may then be the transparent one.
    is_lost = is_deep & is_transparent & (colour_type == 2)
    num_pixels = _number(raw, 16, 4) * _number(raw, 20, 4)
    with (
        check(ended & (at <= size), "a PNG that is broken or cut short"),
        check(num_pixels <= _MOST_PIXELS, "too many pixels"),
        check(~is_lost, "a PNG with a transparent colour of 16 bits"),
    ):
        content = tf.identity(content)  # What is decoded below waits for the checks.
    turned = _read_orientation(content, raw, exif, check)
    if value_range is None:
        return _turn(_decode_png_pixels(content, is_transparent), turned)
    # As `data.decode_image`, which cannot read these by a range.
    is_odd = is_deep & (colour_type == 4)
    with check(~is_odd, "a PNG of grey and opacity of 16 bits"):
        content = tf.identity(content)
    pixels = tf.cond(
        is_deep,
        lambda: _decode_png_pixels(content, is_transparent, value_range),
        lambda: _decode_png_pixels(content, is_transparent),
    )
    return _turn(pixels, turned)


def _decode_png_pixels(content, is_transparent, value_range=None):
    """Decodes a PNG to colours on white: if a range is given, one of 16 bits by it."""
    if value_range is None:
        decode = functools.partial(tf.io.decode_png, content)
    else:
        colour, opacity = (
            tf.constant(levels.table(each)) for each in (value_range, None)
        )

        def decode(channels):
            values = tf.io.decode_png(content, channels, tf.uint16)
            values = tf.cast(values, tf.int32)
            parts = [tf.gather(colour, values[..., :3])]
            if channels == 4:
                parts.append(tf.gather(opacity, values[..., 3:]))
            return tf.concat(parts, axis=-1)

    # An alpha channel that the file lacks is not opaque below 8 bits.
    return tf.cond(is_transparent, lambda: _on_white(decode(4)), lambda: decode(3))


def _read_orientation(content, raw, start, check):
    """The EXIF orientation, 1 to 8; `start` is where its TIFF header is, 0 if none."""
    little = _number(raw, start, 1) == ord("I")
    number = functools.partial(_number, raw, little=little)
    known = _is_text(raw, start, b"II*\0") | _is_text(raw, start, b"MM\0*")
    directory = start + number(start + 4, 4)
    count = tf.where(start > 0, number(directory, 2), _long(0))
    entries = directory + 2 + 12 * tf.range(count)
    entries = tf.boolean_mask(entries, number(entries, 2) == 0x0112)
    is_short = tf.reduce_all(
        (number(entries + 2, 2) == 3) & (number(entries + 4, 4) == 1)
    )
    with check(
        (start == 0) | (known & is_short), "EXIF that cannot be read here: send pixels"
    ):
        values = number(entries + 8, 2)
    elsewhere = tf.strings.regex_full_match(content, _OTHER_ORIENTATION)
    is_there = tf.size(values) > 0
    with check(
        is_there | ~elsewhere, "an orientation outside of its EXIF: send pixels"
    ):
        return tf.cond(is_there, lambda: values[-1], lambda: _long(1))


def _turn(pixels, orientation):
    """Turns and mirrors pixels as an EXIF orientation says."""

    def where(orientations, change, pixels):
        chosen = _is_one(orientation, orientations)
        return tf.cond(chosen, lambda: change(pixels), lambda: pixels)

    pixels = where((5, 6, 7, 8), lambda x: tf.transpose(x, (1, 0, 2)), pixels)
    pixels = where((2, 3, 6, 7), lambda x: tf.reverse(x, [1]), pixels)
    return where((3, 4, 7, 8), lambda x: tf.reverse(x, [0]), pixels)


def _fit(colours, size):
    """Crops around the centre to the ratio of `size` and resizes."""
    height, width = size
    shape = tf.cast(tf.shape(colours)[:2], tf.float64)
    wanted = tf.constant([height, width], tf.float64)
    scale = tf.reduce_min(shape / wanted)
    crop = tf.maximum(tf.cast(tf.round(scale * wanted), tf.int32), 1)
    start = (tf.shape(colours)[:2] - crop) // 2
    cropped = tf.slice(
        colours, [start[0], start[1], 0], [crop[0], crop[1], colours.shape[-1]]
    )
    resized = tf.image.resize(cropped, size, "bilinear", antialias=True)
    resized = tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(resized, (height, width, colours.shape[-1]))


def _on_white(pixels):
    alpha = tf.cast(pixels[..., 3:], tf.float32) / 255.0
    colours = tf.cast(pixels[..., :3], tf.float32)
    return tf.cast(tf.round(colours * alpha + 255.0 * (1.0 - alpha)), tf.uint8)


def _check(name, told, condition, reason):
    """Refuses a file unless `condition` holds: what follows waits for that."""
    text = tf.strings.join([name, reason, told])
    refusal = tf.debugging.Assert(condition, [text])
    return tf.control_dependencies([refusal])


def _number(raw, start, count, little=False):
    """Reads numbers of `count` bytes; what lies behind the last byte counts as 0."""
    index = tf.cast(start, tf.int64)[..., None] + tf.range(count, dtype=tf.int64)
    last = tf.shape(raw, tf.int64)[0] - 1  # A zero that was put there.
    digits = tf.cast(tf.gather(raw, tf.minimum(index, last)), tf.int64)
    big = tf.constant([256**power for power in reversed(range(count))], tf.int64)
    return tf.reduce_sum(digits * tf.where(little, big[::-1], big), axis=-1)


def _is_text(raw, start, text):
    return _number(raw, start, len(text)) == int.from_bytes(text, "big")


def _is_one(value, values):
    return tf.reduce_any(value == tf.constant(values, tf.int64))


def _long(value):
    return tf.constant(value, tf.int64)
