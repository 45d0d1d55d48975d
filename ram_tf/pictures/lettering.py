"""Names in pictures: of classes, variants and measures, whatever they hold."""

import functools
import unicodedata

import matplotlib
from matplotlib import font_manager

from ram_tf.errors import warn_once

_MISSING = "\N{REPLACEMENT CHARACTER}"


def lettering(*lines):
    """Returns a text as it can be drawn, and the properties that it is drawn with.

    It is no mathematics and no TeX: a `$` is one. Where the usual font has no glyph,
    another one of this machine is taken; where none has, the character is drawn as a
    replacement, with one warning a process.

    Args:
        *lines: Strings.

    Returns:
        The text, and keyword arguments of what draws text.
    """
    text = "\n".join(map(readable, lines))
    families, missing = _fonts_for(frozenset(text.replace("\n", "")))
    if missing:
        text = "".join(_MISSING if each in missing else each for each in text)
        warn_once(
            "no font of this machine has all characters of the names: those in "
            f"pictures are drawn as {_MISSING}."
        )
    return text, {"parse_math": False, "usetex": False, "family": list(families)}


def readable(text):
    """Returns a name in one line of characters that show: of others, their escapes."""
    return "".join(map(_show, text))


def short_name(name):
    """Cuts a class name that is too long for a picture."""
    name = readable(name)
    return name if len(name) <= 14 else f"{name[:13]}…"


def _show(character):
    if character.isprintable():
        return character
    kind = unicodedata.category(character)
    if kind == "Zs":
        return " "
    if kind == "Cf":  # It shows in what is around it, if at all.
        return ""
    if "\udc80" <= character <= "\udcff":  # A byte that is no text.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


@functools.cache
def _fonts_for(characters):
    """The families that have these characters, and those that none has."""
    families = list(matplotlib.rcParams["font.family"])
    missing = {ord(each) for each in characters | {_MISSING}}
    for family in families:
        missing -= _glyphs(_file_of(family))
    # Matplotlib's own Last Resort has a box with the name of a script for everything.
    fonts = [
        font
        for font in font_manager.fontManager.ttflist
        if missing and not font.name.startswith("Last Resort")
    ]
    for font in sorted(fonts, key=lambda font: (font.name, font.fname)):
        found = missing & _glyphs(font.fname)
        if found and font.name not in families:
            families.append(font.name)
            missing -= _glyphs(_file_of(font.name))
    return families, {chr(each) for each in missing}


def _file_of(family):
    return font_manager.findfont(font_manager.FontProperties(family=[family]))


@functools.cache
def _glyphs(path):
    """The numbers of the characters that a font file has; of a broken one, none."""
    try:
        return set(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return set()
