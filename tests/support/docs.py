"""Reading what docs/ shows: its examples and tables."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
MESSAGES = DOCS / "messages.md"


def fences(page: Path) -> list[tuple[str, str, str]]:
    """Return (language, name, text) of every code block that has both, as in ```json RawFeedback."""
    return re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def program(name: str) -> str:
    """Return a program of docs/messages.md."""
    [text] = [text for language, of, text in fences(MESSAGES) if (language, of) == ("python", name)]
    return text


def table(page: Path, heading: str) -> list[tuple[str, ...]]:
    """Return the cells, the head first, of the first table after a heading."""
    after = page.read_text().split(f"\n{heading}\n", 1)[1]
    [block] = re.findall(r"(?:^\|.*\n)+", after, re.MULTILINE)[:1]
    rows = [tuple(cell.strip() for cell in row.strip().strip("|").split("|")) for row in block.splitlines()]
    return [rows[0], *rows[2:]]
