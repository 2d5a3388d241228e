"""How large a workbook is, found out before the reader makes it so.

The reader makes one table of all rows and columns up to the last cell, so two cells can ask for a terabyte; and a file
of some kilobytes can unpack to gigabytes.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.parsers import expat

from soulcaster.errors import BadInput

MOST_BYTES = 512 * 1024 * 1024
"""Bytes of all parts of a workbook, unpacked."""

MOST_CELLS = 10_000_000
"""Cells of all its sheets, empty ones up to the last row and column included."""

_PIECE = 16 * 1024 * 1024
"""Bytes that are parsed at once; a parser may read a long tag anew with every piece."""

_SHEET = b"sheetData"
"""The element that holds cells: a part of a workbook without this name has none."""

_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})", re.ASCII)


def check_size(path: Path) -> None:
    """Return if a workbook is of a size that can be read.

    Raises:
        BadInput: it is too large, or no workbook.
    """
    cells = 0
    try:
        with zipfile.ZipFile(path) as parts:
            _check_bytes(parts, path)
            for part in parts.infolist():
                if _has_cells(parts, part):
                    cells += _cells(parts, part)
                    if cells > MOST_CELLS:
                        raise BadInput(
                            f"{path} has {cells:,} cells, empty ones up to the last row and column included; a "
                            f"workbook may have {MOST_CELLS:,}. Delete what is far from its table, or save it as CSV."
                        )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, expat.ExpatError) as error:
        raise BadInput(f"{path} cannot be read as a workbook: {error}.") from error


def _check_bytes(parts: zipfile.ZipFile, path: Path) -> None:
    """Return if all parts together are small enough, and of the size that they say: reading one checks its CRC."""
    size = 0
    for part in parts.infolist():
        for piece in _pieces(parts, part):
            size += len(piece)
            if size > MOST_BYTES:
                raise BadInput(
                    f"{path} unpacks to more than {MOST_BYTES // 1024 // 1024} MiB; save it as CSV, or in parts."
                )


def _pieces(parts: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    with parts.open(part) as file:
        while piece := file.read(_PIECE):
            yield piece


def _has_cells(parts: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    end = b""
    for piece in _pieces(parts, part):
        if _SHEET in end + piece:
            return True
        end = piece[-len(_SHEET) :]
    return False


def _cells(parts: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    """Return the cells of a sheet up to its last row and column."""
    extent = _Extent()
    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = extent.start
    parser.StartDoctypeDeclHandler = _refuse_doctype
    for piece in _pieces(parts, part):
        parser.Parse(piece, False)
    parser.Parse(b"", True)
    return extent.last_row * extent.last_column


def _refuse_doctype(*_: object) -> None:
    raise BadInput("The workbook declares a document type; none does that a spreadsheet program writes.")


class _Extent:
    """The last row and column of a sheet, as far as its elements say; a cell without a place follows the one before."""

    def __init__(self) -> None:
        self.last_row = self.last_column = 0
        self._row = self._column = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the beginning of an element.

        Raises:
            BadInput: its place is none.
        """
        match name.rpartition(" ")[2]:
            case "row":
                self._row, self._column = _number(attributes.get("r"), self._row + 1), 0
            case "c":
                self._place(attributes.get("r"))
            case _:
                return
        self.last_row = max(self.last_row, self._row)
        self.last_column = max(self.last_column, self._column)

    def _place(self, reference: str | None) -> None:
        if reference is None:
            self._column += 1
            return
        found = _REFERENCE.fullmatch(reference.upper())
        if found is None:
            raise BadInput(f"The workbook has a cell at {reference[:20]!r}, which is no place in a sheet.")
        self._column = 0
        for letter in found[1]:
            self._column = 26 * self._column + ord(letter) - ord("A") + 1
        self._row = int(found[2])


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if re.fullmatch("[1-9][0-9]{0,6}", text, re.ASCII) is None:
        raise BadInput(f"The workbook has a row {text[:20]!r}; rows have numbers up to 1,048,576.")
    return int(text)
