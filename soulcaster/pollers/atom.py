"""Reads the entries of an Atom feed (RFC 4287), in one pass, without a tree: what we do not need takes no memory.

Readers of every kind of feed take quadratic time for some. We read the one that Reddit writes, in linear time for any
bytes.
"""

from collections.abc import Mapping, Sequence
from xml.parsers import expat

from soulcaster.errors import InvalidMessage

MOST_ENTRIES = 100
"""No page has more posts."""

_ATOM = "http://www.w3.org/2005/Atom"
_NAMES = ("feed", "entry", "author", "name", "category", "content", "id", "link", "published", "title", "updated")
_SHORT = {f"{_ATOM} {name}": name for name in _NAMES}
_TEXTS = {
    ("id",): "id",
    ("title",): "title",
    ("content",): "content",
    ("updated",): "updated",
    ("published",): "published",
    ("author", "name"): "author",
}
"""Elements of an entry whose text is read, and its name with us. The first of each counts."""


def read_entries(body: bytes) -> Sequence[Mapping[str, str]]:
    """Return the entries of a feed in UTF-8.

    An entry has those that it gives of: author, category, content, id, link, published, title, updated.

    Raises:
        InvalidMessage: it is not an Atom feed, or an incomplete one; it declares a document type, which is how entities
            are declared; or it has more than `MOST_ENTRIES`.
    """
    if b"<!DOCTYPE" in body:
        raise InvalidMessage("What was answered is no Atom feed")
    reader = _Reader()
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(body, True)  # at once: this expat reads a long tag anew with every part
    except expat.ExpatError as error:
        raise InvalidMessage("What was answered is no Atom feed") from error
    return reader.entries


class _Reader:
    """Takes what expat reports; `entries` are those that have begun."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self._path: list[str] = []
        self._field: str | None = None
        self._depth = 0
        self._texts: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._path.append(_SHORT.get(name, ""))
        depth = len(self._path)
        if depth == 1 and self._path[0] != "feed":
            raise InvalidMessage("What was answered is no Atom feed")
        if depth == 2 and self._path[1] == "entry":
            if len(self.entries) == MOST_ENTRIES:
                raise InvalidMessage(f"What was answered is no page: it has more than {MOST_ENTRIES} entries")
            self.entries.append({})
        elif depth in {3, 4} and self._path[1] == "entry":
            self._in_entry(self.entries[-1], attributes)

    def _in_entry(self, entry: dict[str, str], attributes: Mapping[str, str]) -> None:
        place = tuple(self._path[2:])
        field = _TEXTS.get(place)
        if field is not None and field not in entry:
            self._field, self._depth = field, len(self._path)
        elif place == ("link",) and attributes.get("rel", "alternate") == "alternate" and "href" in attributes:
            entry.setdefault("link", attributes["href"])
        elif place == ("category",) and "term" in attributes:
            entry.setdefault("category", attributes["term"])

    def text(self, text: str) -> None:
        if self._field is not None:
            self._texts.append(text)

    def end(self, _: str) -> None:
        if self._field is not None and len(self._path) == self._depth:
            self.entries[-1][self._field] = "".join(self._texts).strip()
            self._field = None
            self._texts.clear()
        self._path.pop()
