"""Image files to pixels in the graph, as `data.decode_image` does outside of it.

JPEG and PNG are read. Any other file, and what TensorFlow's decoders would show in
another way than Pillow does, is refused with its index in the batch and the reason.
"""

import functools

import tensorflow as tf

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


def decode_batch(contents, size, channels):
    """Decodes a batch of files.

    Args:
        contents: String tensor `(batch,)`.
        size: `(height, width)` to crop around the centre and resize to.
        channels: 1 or 3.

    Returns:
        Tensor `(batch, height, width, channels)`, uint8.
    """
    return tf.map_fn(
        lambda pair: _decode(*pair, size, channels),
        (contents, tf.range(tf.shape(contents)[0])),
        fn_output_signature=tf.TensorSpec((*size, channels), tf.uint8),
    )


def _decode(content, index, size, channels):
    raw = tf.io.decode_raw(tf.strings.join([content, "\0"]), tf.uint8)
    name = tf.strings.join(["image_bytes[", tf.strings.as_string(index), "]: "])
    is_jpeg, is_png = (
        tf.strings.substr(tf.strings.join([content, "\0" * 8]), 0, len(start)) == start
        for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
    )
    check = functools.partial(_check, name)
    with check(is_jpeg | is_png, "neither JPEG nor PNG: send pixels instead"):
        colours = tf.cond(
            is_jpeg,
            lambda: _decode_jpeg(content, raw, check),
            lambda: _decode_png(content, raw, check),
        )
    if channels == 1:
        colours = tf.image.rgb_to_grayscale(colours)
    return _fit(colours, size)


def _decode_jpeg(content, raw, check):
    def step(at, exif, components, adobe):
        marker, payload = _number(raw, at + 1, 1), at + 4
        is_exif = (marker == 0xE1) & _is_text(raw, payload, b"Exif\0\0")
        is_frame = (marker >= 0xC0) & (marker <= 0xCF) & ~_is_one(marker, _NO_FRAMES)
        bare = _is_one(marker, _BARE_MARKERS)
        length = 2 + tf.where(bare, _long(0), _number(raw, at + 2, 2))
        return (
            at + tf.where(marker == 0xFF, _long(1), length),
            tf.where(is_exif & (exif == 0), payload + 6, exif),
            tf.where(is_frame, _number(raw, at + 9, 1), components),
            adobe | ((marker == 0xEE) & _is_text(raw, payload, b"Adobe")),
        )

    scan, end = 0xFFDA, 0xFFD9
    at, exif, components, adobe = tf.while_loop(
        lambda at, *_: (
            (_number(raw, at, 1) == 0xFF) & ~_is_one(_number(raw, at, 2), (scan, end))
        ),
        step,
        (_long(2), _long(0), _long(0), tf.constant(False)),
    )
    ends = (raw[at:-1] == end >> 8) & (raw[at + 1 :] == end & 255)
    is_whole = (_number(raw, at, 2) == scan) & tf.reduce_any(ends)
    with check(is_whole, "a JPEG that is broken or cut short"):
        rest = tf.strings.substr(content, 2, _ALL)
        marked = tf.strings.join([b"\xff\xd8", _ADOBE, rest])
        content = tf.where((components == 4) & ~adobe, marked, content)
    turned = _read_orientation(content, raw, exif, check)
    pixels = tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE")
    return _turn(pixels, turned)


def _decode_png(content, raw, check):
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
    # Colours of 16 bits are cut to 8; several may then be the transparent one.
    is_deep = is_transparent & (colour_type == 2) & (_number(raw, 24, 1) == 16)
    with (
        check(ended & (at <= size), "a PNG that is broken or cut short"),
        check(~is_deep, "a PNG with a transparent colour of 16 bits"),
    ):
        turned = _read_orientation(content, raw, exif, check)
    # An alpha channel that the file lacks is not opaque below 8 bits.
    pixels = tf.cond(
        is_transparent,
        lambda: _on_white(tf.io.decode_png(content, 4)),
        lambda: tf.io.decode_png(content, 3),
    )
    return _turn(pixels, turned)


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


def _check(name, condition, reason):
    """Refuses a file unless `condition` holds: what follows waits for that."""
    refusal = tf.debugging.Assert(condition, [tf.strings.join([name, reason])])
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
