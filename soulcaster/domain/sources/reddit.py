"""Reddit: posts from the JSON API and the Atom feed.

Both give the same item: its id is the post's without `t3_`, and the body is made from the HTML that both carry. Only
the JSON has score and number of comments, which are volatile, and what people write outside of a post's text: the
choices of a poll, the captions of pictures, and the text of the post that a cross-post repeats.

A post that its author deleted or a moderator removed is deleted here too, as its author and Reddit's terms require. If
only the account is deleted, the post stays, without an author.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from html import unescape
from typing import Any

from soulcaster.domain.sources._changes import Delete, Nothing, SourceChange, Upsert
from soulcaster.domain.sources._json import at, identifier, items, known, mapping, moment, text, web_address, whole

HEADERS = ()

_SITE = "https://www.reddit.com"
_GONE = re.compile(r"\[\s*(?:(?:deleted|removed)(?: by user)?\s*\]$|removed by reddit\b)", re.IGNORECASE)
"""What Reddit shows in place of a deleted title, text or author."""

_IN_ADDRESS = re.compile(r"/r/([^/]+)/comments/([0-9a-z]+)")
_LINK = re.compile(r'<a href="([^"<>]*)">\[link\]</a>')
_TAG = re.compile(r"<([/!]?)([A-Za-z][A-Za-z0-9]*+|--)([^<>]*+)>")
_MARKDOWN_DIV = re.compile(r'\bclass="md"')
_HREF = re.compile(r'\bhref="([^"]*)"')
_SPACE = re.compile(r"\s+")
_BULLET = "- "
_MAX_QUOTES = 5
_LINES = frozenset({"p", "div", "br", "li", "ul", "ol", "pre", "tr", "table", "hr", "blockquote"})
_LINES |= {f"h{level}" for level in range(1, 7)}
_PARAGRAPHS = frozenset({"p", "pre", "table", "ul", "ol", "blockquote"})


def parse(headers: Mapping[str, str], payload: Any) -> tuple[SourceChange, ...]:
    """Return the change in one post.

    The payload is a child of a listing, `{"kind": "t3", "data": {...}}`, or an entry of the feed: `id`, `title`,
    `content` (HTML), `author`, `updated`, `link`, and optionally `published` and `category`. Author, link and category
    may be objects, as in XML, with `name`, `href` and `term`.

    Raises:
        ValueError: the payload is neither, or the post has no id or no title.
    """
    if not isinstance(payload, dict):
        raise ValueError("the payload is not a JSON object")
    kind = payload.get("kind")
    if kind is None:
        return (_of_feed(payload),)
    if kind == "t3":
        return (_of_listing(mapping(payload.get("data"))),)
    if isinstance(kind, str):
        return (Nothing(f"not a post: {kind}"),)
    raise ValueError("kind is not a text")


def _of_listing(post: Mapping[str, Any]) -> SourceChange:
    raw = _is_raw(post)
    permalink = text(post.get("permalink"))
    address = web_address(_SITE + permalink) if permalink else None
    body = _own_text(post, raw)
    edited = post.get("edited")
    created_at = moment(post.get("created_utc"))
    if text(post.get("removed_by_category")):
        return Delete(_id(post, address), moment(edited) or created_at)
    return _post(
        external_id=_id(post, address),
        title=_unescaped(post.get("title"), raw),
        body=body if _gone(body) else _with_choices(post, body or _text_of_parent(post), raw),
        created_at=created_at,
        author=text(post.get("author")),
        address=address,
        subreddit=text(post.get("subreddit")),
        link=_unescaped(post.get("url"), raw),
        version=moment(edited) or created_at,
        volatile=known(score=whole(post.get("score")), num_comments=whole(post.get("num_comments"))),
    )


def _is_raw(post: Mapping[str, Any]) -> bool:
    """Return whether nothing in a post is escaped, as with raw_json=1."""
    html = post.get("selftext_html")
    return isinstance(html, str) and html.lstrip().startswith("<")


def _own_text(post: Mapping[str, Any], raw: bool) -> str | None:
    body = _unescaped(post.get("selftext"), raw)
    html = post.get("selftext_html")
    if isinstance(html, str) and not _gone(body):
        body = _text_of(html if raw else unescape(html)) or body
    return body


def _text_of_parent(post: Mapping[str, Any]) -> str | None:
    """Return the text of the post that a cross-post repeats; None if there is none, or if it is deleted there."""
    parents = [parent for parent in items(post.get("crosspost_parent_list")) if isinstance(parent, dict)]
    for parent in parents:
        body = _own_text(parent, _is_raw(parent))
        if not text(parent.get("removed_by_category")) and not _gone(body):
            return _with_choices(parent, body, _is_raw(parent))
    return None


def _with_choices(post: Mapping[str, Any], body: str | None, raw: bool) -> str | None:
    """Return a text with the choices of the post's poll and the captions of its pictures, a line each."""
    listed = [at(choice, "text") for choice in items(at(post, "poll_data", "options"))]
    listed += [at(picture, "caption") for picture in items(at(post, "gallery_data", "items"))]
    lines = [f"{_BULLET}{line}" for one in listed if (line := _unescaped(one, raw))]
    return "\n".join([*([body, ""] if body and lines else [body] if body else []), *lines]) or None


def _of_feed(entry: Mapping[str, Any]) -> SourceChange:
    content = entry.get("content")
    html = content if isinstance(content, str) else ""
    link = entry.get("link")
    category = entry.get("category")
    address = web_address(at(link, "href") if isinstance(link, dict) else link)
    author = entry.get("author")
    name = text(at(author, "name") if isinstance(author, dict) else author)
    updated = moment(entry.get("updated"))
    links = _LINK.findall(html)  # the last one is Reddit's; the author may have written another
    return _post(
        external_id=_id(entry, address),
        title=text(entry.get("title")),
        body=_text_of(html),
        created_at=moment(entry.get("published")) or updated,
        author=name.removeprefix("/u/") if name else None,
        address=address,
        subreddit=text(at(category, "term") if isinstance(category, dict) else category),
        link=unescape(links[-1]) if links else None,
        version=updated,
        volatile={},
    )


def _post(
    *,
    external_id: str,
    title: str | None,
    body: str | None,
    created_at: datetime | None,
    author: str | None,
    address: str | None,
    subreddit: str | None,
    link: str | None,
    version: datetime | None,
    volatile: Mapping[str, Any],
) -> SourceChange:
    if _gone(title) or _gone(body):
        return Delete(external_id, version)
    if author == "AutoModerator":
        return Nothing("by a bot")
    if not (title or body):
        raise ValueError("the post has no title")
    found = _IN_ADDRESS.search(address or "")
    page = web_address(link)
    return Upsert(
        source="reddit",
        external_id=external_id,
        title=title,
        body=body,
        created_at=created_at,
        author=None if _gone(author) else author,
        url=address,
        metadata=known(
            subreddit=found[1] if found else subreddit,
            link=page if page and not _IN_ADDRESS.search(page) else None,
        ),
        volatile=volatile,
        version=version,
    )


def _id(post: Mapping[str, Any], address: str | None) -> str:
    own = identifier(post.get("id")) or identifier(post.get("name"))
    found = _IN_ADDRESS.search(address or "")
    external_id = (own or "").removeprefix("t3_") or (found[2] if found else "")
    if not external_id:
        raise ValueError("the post has no id")
    if re.match(r"t[0-9]_", external_id):
        raise ValueError(f"{external_id} is not a post's id")
    return external_id


def _gone(shown: str | None) -> bool:
    return bool(shown and _GONE.match(shown))


def _unescaped(value: Any, raw: bool) -> str | None:
    """Return a text of the JSON API, which escapes these three characters unless the request has raw_json=1."""
    if not isinstance(value, str):
        return None
    return text(value if raw else value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _text_of(html: str) -> str | None:
    """Return the author's text as plain text: the content of Reddit's `<div class="md">`."""
    lines = _Lines()
    depth = 0
    end = 0
    for tag in _TAG.finditer(html):
        closing, name, rest = tag[1] == "/", tag[2].lower(), tag[3]
        if depth:
            lines.write(unescape(html[end : tag.start()]))
            lines.tag(name, rest, closing=closing)
        if name == "div" and (depth or (not closing and _MARKDOWN_DIV.search(rest))):
            depth += -1 if closing else 1
        end = tag.end()
    return text(lines.text())


class _Lines:
    """Plain text, written tag by tag. A line is a list of pieces: adding to a long text would copy it each time."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._preformatted = False
        self._link: tuple[str, int] | None = None  # address, and number of the line's pieces before the link

    def write(self, words: str) -> None:
        if self._preformatted:
            first, *more = words.split("\n")
            self._add(first)
            for line in more:
                self._end()
                self._add(line)
            return
        words = _SPACE.sub(" ", words)
        if self._line:
            self._add(words)
        elif words := words.lstrip():
            self._add("> " * min(self._quotes, _MAX_QUOTES))
            self._add(words)

    def tag(self, name: str, rest: str, *, closing: bool) -> None:
        if name in _LINES:
            if self._line and not (name == "p" and self._ends_with_bullet()):
                self._end()
            if name in _PARAGRAPHS and closing:
                self._end()
        if name == "blockquote":
            self._quotes = max(0, self._quotes + (-1 if closing else 1))
        elif name == "pre":
            self._preformatted = not closing
        elif name == "li" and not closing:
            self.write(_BULLET)
        elif name in ("td", "th") and closing:
            self.write(" ")
        elif name == "a":
            self._anchor(rest, closing=closing)

    def _anchor(self, rest: str, *, closing: bool) -> None:
        if not closing:
            found = _HREF.search(rest)
            address = web_address(unescape(found[1])) if found else None
            self._link = (address, len(self._line)) if address else None
        elif self._link:
            address, start = self._link
            self._link = None
            if "".join(self._line[start:]).strip() != address:
                self.write(f" ({address})")

    def _add(self, words: str) -> None:
        if words:
            self._line.append(words)

    def _end(self) -> None:
        self._lines.append("".join(self._line))
        self._line = []
        if self._link:
            self._link = (self._link[0], 0)

    def _ends_with_bullet(self) -> bool:
        return "".join(piece[-len(_BULLET) :] for piece in self._line[-len(_BULLET) :]).endswith(_BULLET)

    def text(self) -> str:
        lines = [*self._lines, "".join(self._line)]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines))
