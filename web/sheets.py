"""Sheets of paper, filled from the top with rows of text and turned into a PDF: the same bytes for the same rows."""

import io
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from web.invoice_fonts import LOST, PLAIN, face, printable

WIDTH, HEIGHT = A4
MARGIN: Final = 42.0
INNER: Final = WIDTH - 2 * MARGIN
_TOP: Final = HEIGHT - 66.0
_BOTTOM: Final = 54.0
_HEAD: Final = HEIGHT - 42.0
_FOOT: Final = 34.0
_GREY: Final = 0.36
_THIN: Final = 0.5
_LONGEST: Final = 300
"""Letters of a cell. In the narrowest column that still goes on one sheet."""


class Style(NamedTuple):
    """How a row is set."""

    font: str
    size: float
    leading: float
    grey: bool = False


class Column(NamedTuple):
    """Where a cell is, from the left margin on."""

    x: float
    width: float
    is_right: bool = False
    """Set against its right edge, and never broken: an amount."""


class Row(NamedTuple):
    """Cells side by side; what is too wide for its column goes on in lines below, and what is far too long is cut."""

    cells: Sequence[str]
    columns: Sequence[Column]
    style: Style
    above: float = 0.0
    """Blank space before it."""
    is_ruled: bool = False
    """With a thin rule over it."""


class _Placed(NamedTuple):
    x: float
    y: float
    style: Style
    text: str


SMALL: Final = Style(PLAIN, 8, 11.5)
MUTED: Final = Style(PLAIN, 8, 11.5, grey=True)


class Sheets:
    """What is printed so far. `head` stands at the top of every sheet, left and right."""

    def __init__(self, head: tuple[str, str]) -> None:
        self._head = tuple(map(printable, head))
        self._sheets: list[list[_Placed]] = []
        self._rules: list[list[float]] = []
        self._y = 0.0
        self.repeated: Sequence[Row] = ()
        """Rows that go on every sheet that begins from now on: the headings of a table."""
        self.has_lost = any(LOST in text for text in self._head)
        """Whether there was a letter that could not be printed."""
        self.turn()

    def add(self, row: Row, keep: float = 0.0) -> None:
        """Print a row, on the next sheet if there is no room for it and as much as `keep` below it."""
        lines = _lines(row)
        height = row.style.leading * max(map(len, lines))
        if self._y - row.above - height - keep < _BOTTOM and self._y < _TOP:
            self.turn()
            for heading in self.repeated:
                self._place(heading, _lines(heading))
        self._place(row, lines)

    def turn(self) -> None:
        """Begin a sheet."""
        self._sheets.append([])
        self._rules.append([])
        self._y = _TOP

    def pdf(self, title: str, author: str) -> bytes:
        """All sheets, numbered."""
        file = io.BytesIO()
        canvas = Canvas(file, pagesize=A4, pageCompression=1, invariant=1, initialFontName=PLAIN, lang="en")
        canvas.setTitle(printable(title))
        canvas.setAuthor(printable(author))
        for index, sheet in enumerate(self._sheets):
            self._draw(canvas, sheet, f"Page {index + 1} of {len(self._sheets)}")
            canvas.setLineWidth(_THIN)
            for y in (_HEAD - 8, *self._rules[index]):
                canvas.line(MARGIN, y, WIDTH - MARGIN, y)
            canvas.showPage()
        canvas.save()
        return file.getvalue()

    def _place(self, row: Row, lines: Sequence[Sequence[str]]) -> None:
        style = row.style
        measured = face(style.font)
        self._y -= row.above
        if row.is_ruled:
            self._rules[-1].append(self._y)
        first = self._y - (style.leading + style.size) / 2 + 1
        for column, cell in zip(row.columns, lines, strict=True):
            for index, text in enumerate(cell):
                x = MARGIN + column.x
                if column.is_right:
                    x += column.width - measured.width(text, style.size)
                self._sheets[-1].append(_Placed(x, first - index * style.leading, style, text))
                self.has_lost = self.has_lost or LOST in text
        self._y -= max(map(len, lines)) * style.leading

    def _draw(self, canvas: Any, sheet: list[_Placed], foot: str) -> None:
        around = [
            _Placed(MARGIN, _HEAD, SMALL, wrapped(self._head[0], SMALL, INNER * 0.6)[0]),
            _Placed(WIDTH - MARGIN - face(PLAIN).width(self._head[1], SMALL.size), _HEAD, MUTED, self._head[1]),
        ]
        foot_x = WIDTH - MARGIN - face(PLAIN).width(foot, MUTED.size)
        written, style = canvas.beginText(), None
        for piece in (*around, *sheet, _Placed(foot_x, _FOOT, MUTED, foot)):
            if piece.style != style:
                style = piece.style
                written.setFont(style.font, style.size)
                written.setFillGray(_GREY if style.grey else 0)
            written.setTextOrigin(piece.x, piece.y)
            written.textOut(piece.text)
        canvas.drawText(written)


def _lines(row: Row) -> list[list[str]]:
    """Of each cell."""
    return [
        [printable(cell)] if column.is_right else wrapped(cell, row.style, column.width)
        for cell, column in zip(row.cells, row.columns, strict=True)
    ]


def wrapped(text: str, style: Style, width: float) -> list[str]:
    """A text as lines of at most a width, broken at blanks where that can be; at most so many that a sheet has room."""
    text, measured = printable(text), face(style.font)
    if measured.width(text, style.size) <= width:
        return [text]
    lines, line = [], ""
    for word in text[:_LONGEST].split():
        longer = f"{line} {word}" if line else word
        if measured.width(longer, style.size) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while measured.width(line, style.size) > width:
            cut = next(at for at in range(len(line) - 1, 0, -1) if measured.width(line[:at], style.size) <= width)
            lines.append(line[:cut])
            line = line[cut:]
    lines.append(line if len(text) <= _LONGEST else f"{line}…")
    return lines
