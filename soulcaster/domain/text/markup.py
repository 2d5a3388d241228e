"""HTML and Markdown to the text that a reader sees, for comparing.

People rarely write valid markup: prose with a few tags, a list, a link; and they often write about markup (`<textarea>`
loses focus, `List<String>`). So nothing is parsed: what is surely markup is removed, everything else stays. Every
expression takes time proportional to the text, for any text.
"""

import html
import re

from soulcaster.domain.text.quotes import without_quotes

_INLINE = "a|abbr|b|big|center|cite|code|del|em|font|i|ins|kbd|mark|q|s|small|span|strike|strong|sub|sup|tt|u|wbr"
_BLOCK = (
    "article|aside|blockquote|body|br|caption|col|colgroup|dd|details|div|dl|dt|figcaption|figure|footer|h[1-6]|head"
    "|header|hr|html|img|li|link|main|meta|nav|ol|p|picture|pre|section|source|summary|table|tbody|td|tfoot|th|thead|tr"
    "|ul"
)
_INLINE_TAG = re.compile(rf"(?i)</?(?:{_INLINE})(?=[\s/>])[^<>]*+>")
_BLOCK_TAG = re.compile(rf"(?i)</?(?:{_BLOCK})(?=[\s/>])[^<>]*+>")
_SURELY_HTML = re.compile(rf"(?i)</(?:{_INLINE}|{_BLOCK})\s*>|<(?:br|hr|p)\s*/?>|<(?:img|a|div|p)\s[^<>]*=")
_NOT_READ = ("script", "style")

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")  # html's own takes any length

_LINK = re.compile(
    r"!?\[([^\[\]\n]*+)\]"
    r"\([ \t]*+<?[^()\s<>]*+(?:\([^()\s]*+\)[^()\s<>]*+)*+>?(?:[ \t]++[\"'][^\"'()\n]*+[\"'])?[ \t]*+\)"
)
_LONE_IMAGE = re.compile(r"(?m)^[ \t]*+!\[[^\[\]\n]*+\]\([^()\n]*+\)[ \t]*+$")
_REFERENCE = re.compile(r"!?\[([^\[\]\n]++)\]\[[^\[\]\n]*+\]")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]++)>")
_RULE = re.compile(r"(?m)^[ \t]*+(?:[-=*_~`|:+][ \t]*+){3,}$")
_LINE_START = re.compile(
    r"(?m)^[ \t]*+(?:#{1,6}[ \t]++|(?:[-*+]|\d{1,3}[.)])[ \t]++(?:\[[ xX]\][ \t]++)?|(?:```|~~~)[\w+#.-]*+$)"
)
_UNDERLINED = re.compile(r"(?<!\w)(_{1,3})(?=[^\s_])([^_\n]++)\1(?!\w)")
_CELLS = re.compile(r"(?m)^[ \t]*+\|(.*)\|[ \t]*+$")


def to_text(text: str) -> str:
    """Return what a reader sees of a text in HTML, Markdown or neither; links by their words, not their URL."""
    if "<" in text:
        text = _without_html(text)
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if "![" in text:
        text = _LONE_IMAGE.sub("", text)
    if "](" in text:
        text = _LINK.sub(r"\1", _LINK.sub(r"\1", text))  # twice: an image in a link
    if "][" in text:
        text = _REFERENCE.sub(r"\1", text)
    if "|" in text:
        text = _CELLS.sub(lambda row: row[1].replace("|", " "), text)
    text = _LINE_START.sub("", _RULE.sub("", text))
    text = text.replace("*", "").replace("`", "").replace("~~", "")
    return _UNDERLINED.sub(r"\2", text) if "_" in text else text


def _without_html(text: str) -> str:
    text = _without(text, "<!--", "-->")
    text = _AUTOLINK.sub(r"\1", text)
    if not _SURELY_HTML.search(text):
        return text
    for name in _NOT_READ:
        text = _without(text, f"<{name}", f"</{name}>")
    text = without_quotes(text)
    return _BLOCK_TAG.sub("\n", _INLINE_TAG.sub("", text))


def _without(text: str, start: str, end: str) -> str:
    """Return the text without everything from `start` to `end`; a start without an end stays."""
    parts = []
    done = 0
    at = text.find(start)
    while at >= 0:
        until = text.find(end, at)
        if until < 0:
            break
        parts.append(text[done:at])
        done = until + len(end)
        at = text.find(start, done)
    return "".join([*parts, text[done:]]) if done else text
