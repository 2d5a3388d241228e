"""Small .xlsx files, written by hand: the parts that the format needs, and no more."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[str | float]]]) -> None:
    """Write sheets of texts and numbers."""
    _write(path, {name: _sheet(rows) for name, rows in sheets.items()})


def write_cells(path: Path, cells: Mapping[str, str], *, more: str = "", before: str = "") -> None:
    """Write one sheet with a text at each place, as "B7"; `more` are rows, `before` comes before the root element."""
    rows = "".join(
        f'<row><c r="{place}" t="inlineStr"><is><t>{escape(text)}</t></is></c></row>' for place, text in cells.items()
    )
    sheet = f'{before}<worksheet xmlns="{_MAIN}"><sheetData>{rows}{more}</sheetData></worksheet>'
    _write(path, {"Sheet": sheet})


def _write(path: Path, sheets: Mapping[str, str]) -> None:
    """Write sheets, each in XML."""
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        + "".join(f'<Override PartName="/xl/s{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers)
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_DOC}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOC}"><sheets>'
        + "".join(
            f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="r{n}"/>'
            for n, name in zip(numbers, sheets, strict=True)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(f'<Relationship Id="r{n}" Type="{_DOC}/worksheet" Target="s{n}.xml"/>' for n in numbers)
        + "</Relationships>",
    }
    parts |= {f"xl/s{n}.xml": xml for n, xml in zip(numbers, sheets.values(), strict=True)}
    with zipfile.ZipFile(path, "w") as file:
        for name, xml in parts.items():
            file.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{xml}')


def _sheet(rows: Sequence[Sequence[str | float]]) -> str:
    cells = "".join(f'<row r="{n}">{"".join(map(_cell, row))}</row>' for n, row in enumerate(rows, 1))
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData></worksheet>'


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"
