"""The type of documents that are printed: Bitstream Vera, which comes with reportlab, and what it has letters for."""

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

PLAIN: Final = "Vera"
BOLD: Final = "VeraBd"
LOST: Final = "◊"
"""Stands for a letter that the type lacks: it has those of western Europe, and some more with accents."""
_SPELT: Final = {
    "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "ŋ": "ng", "Ŋ": "NG", "ə": "e", "Ə": "E", "ẞ": "SS", "ĸ": "k",
    "‐": "-", "‑": "-",
}  # fmt: skip
"""Letters that Unicode does not take apart."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Mn", "Me"})
"""Categories of what has no shape of its own, among them what turns the direction of the text around it."""
_PER_EM: Final = 1000


class Face(NamedTuple):
    """A font as it is measured."""

    widths: Mapping[str, float]
    """Of each letter that it has, in thousandths of its size."""

    def width(self, text: str, size: float) -> float:
        """Of a text that is printable, in points."""
        return sum(map(self.widths.__getitem__, text)) * size / _PER_EM


@cache
def face(font: str) -> Face:
    """A font, known to reportlab from now on."""
    made = TTFont(font, f"{font}.ttf")
    pdfmetrics.registerFont(made)
    glyphs, widths = made.face.charToGlyph, made.face.charWidths
    return Face({chr(code): float(widths[code]) for code, glyph in glyphs.items() if glyph and code in widths})


def printable(text: str) -> str:
    """A text in letters that there are: those with unknown accents lose them, and of others LOST is left."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_printable, unicodedata.normalize("NFC", " ".join(text.split()))))


@cache
def _printable(letter: str) -> str:
    known = face(PLAIN).widths
    category = unicodedata.category(letter)
    if category in _UNSEEN:
        return ""
    if category == "Zs":
        return " "
    if letter in known:
        return letter
    apart = _SPELT.get(letter) or unicodedata.normalize("NFKD", letter)
    kept = "".join(part for part in apart if unicodedata.category(part) not in _UNSEEN)
    return kept if kept and known.keys() >= set(kept) else LOST
