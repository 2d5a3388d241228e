"""Quotations in HTML mail, as the common programs mark them: all that is inside such an element goes.

Tags are read once, in order; nothing is parsed. An element without an end goes on to the end of the text.
"""

import re

_TAG = re.compile(
    r"<(/?)(div|blockquote|table|section|article|p|span)(?=[\s>/])([^<>]*+)>|<hr(?=\s)([^<>]*+)>", re.IGNORECASE
)

_QUOTE = re.compile(
    r"gmail_quote|gmail_extra|yahoo_quoted|moz-cite-prefix|protonmail_quote|zmail_extra|tutanota_quote|tuta_quote"
    r"|front-blockquote|freshdesk_quote|type=[\"']?cite|name=[\"']?(?:quote|messageReplySection)\b|OLK_SRC_BODY_SECTION"
    r"|mail_quote|quoted-?(?:reply|text|message)|reply-?quote|ms-outlook-mobile-reference-message"
    r"|gmail_signature|moz-signature|protonmail_signature|ms-outlook-mobile-signature|id=[\"']?Signature\b",
    re.IGNORECASE,
)
"""In the attributes of an element: it holds a quotation, or a signature."""

_REST = re.compile(
    r"id=[\"']?(?:divRplyFwdMsg|appendonsend|stopSpelling|reply-intro|mail-editor-reference-message-container)\b"
    r"|border:\s?none;\s?border-top:\s?solid #(?:E1E1E1|B5C4DF)",
    re.IGNORECASE,
)
"""In the attributes of an element: all that follows is the message that is answered."""

_FORWARDED = re.compile(r"-(?<!--)-{4,80}+ ?[^\W\d_]|class=[\"']?moz-forward")
_LOOKED_AT = 400
_ANY_TAG = re.compile(r"<[^<>]*+>|&[a-z]{2,8};")
_WORD = re.compile(r"\w{2,}")


def without_quotes(html: str) -> str:
    """Return HTML without quotations; all of it if nothing else would be left. A forwarded message stays."""
    kept: list[str] = []
    done = 0
    inside = ""  # the name of the element that is being left out
    depth = 0
    for tag in _TAG.finditer(html):
        name, attributes = (tag[2] or "hr").lower(), tag[3] or tag[4] or ""
        if inside:
            if name == inside and not attributes.endswith("/"):
                depth += -1 if tag[1] else 1
            if not depth:
                inside, done = "", tag.end()
            continue
        if tag[1] or "=" not in attributes:
            continue
        if _REST.search(attributes):
            kept.append(html[done : tag.start()])
            done = len(html)
            break
        if _QUOTE.search(attributes) and not _FORWARDED.search(html, tag.start(), tag.end() + _LOOKED_AT):
            kept.append(html[done : tag.start()])
            inside, depth = name, 1
    if not inside:
        kept.append(html[done:])
    own = "\n".join(kept)
    return own if _WORD.search(_ANY_TAG.sub(" ", own)) else html
