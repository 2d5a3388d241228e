"""The map names files and folders that are there."""

import re
from pathlib import Path

import pytest

from tests.support.docs import DOCS

ROOT = DOCS.parent
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
ROOMS = ("agents", "docs", "soulcaster", "tables", "tests")

_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.*-]*)`")


def named(page: Path) -> list[str]:
    """Return the paths of the repository that a page names; those of rooms may leave `soulcaster/` out."""
    inside = {path.name for path in (ROOT / "soulcaster").iterdir()} | set(ROOMS)
    return [path for path in _PATH.findall(page.read_text()) if path.split("/")[0] in inside]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    lost = []
    for path in named(page):
        pattern = re.sub(r"\b[A-Z]{4,}\b", "*", path).rstrip("/")  # NAME and RESOURCE stand for any name
        if not any(next(root.glob(pattern), None) for root in (ROOT, ROOT / "soulcaster")):
            lost.append(path)
    assert lost == []


def test_the_map_has_every_room() -> None:
    text = (DOCS / "architecture.md").read_text()
    rooms = [path for path in (ROOT / "soulcaster").iterdir() if (path / "__init__.py").exists()]
    assert [room.name for room in rooms if f"`soulcaster/{room.name}/`" not in text] == []
    assert len(text.splitlines()) <= 200
