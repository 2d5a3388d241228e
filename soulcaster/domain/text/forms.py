"""Forms that people fill in: the answers without the questions.

An issue form or template puts the same headings, boxes to tick and "no response" into every issue. Shape tells them:
two headings or more, whatever their words.
"""

import re

_FEWEST_HEADINGS = 2

_HEADING = re.compile(r"[ \t]{0,3}(?:#{1,6}[ \t]+\S|(?:\*\*|__)[^*_\n]{1,100}(?:\*\*|__)[ \t]*+:?[ \t]*+$)")
_FENCE = re.compile(r"[ \t]{0,3}(?:```|~~~)")
_BOX = re.compile(r"[ \t]*+[-*+][ \t]++\[[ xX]?\](?:[ \t]|$)")
_NO_ANSWER = re.compile(r"(?:no response|n/?a|none|not applicable|nothing|[-/—]{0,3})", re.IGNORECASE)
_VERSION = re.compile(r"v?\d{1,8}(?:\.\d{1,8}){1,4}[\w.+-]{0,40}", re.IGNORECASE)
_MARKS = "_*` \t\n"
"""What emphasizes an answer, and what is around it."""

_LONGEST_ANSWER = 100
"""Characters of an answer that may be none, or a version."""

_KIND = re.compile(
    r"(?:\[[ ]?(?:bug|feat|feature|enhancement|request|question|issue|support|docs?|task|proposal|idea)"
    r"(?:[ /-](?:report|request|bug|issue|feature))?[ ]?\][ ]?:?|(?:bug(?: report)?|feature(?: request)?)[ ]?:)\s*",
    re.IGNORECASE,
)


def without_form(text: str) -> str:
    """Return what is answered in a form; a text that is no form, or of which nothing would be left, stays as it is."""
    lines = text.split("\n")
    sections: list[list[str]] = [[]]
    in_code = False
    for line in lines:
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code and _HEADING.match(line):
            sections.append([])
            continue
        sections[-1].append(line)
    if len(sections) <= _FEWEST_HEADINGS:
        return text
    answers = ["\n".join(line for line in section if not _BOX.match(line)).strip() for section in sections]
    said = "\n\n".join(answer for answer in answers if not _says_nothing(answer))
    return said or text


def without_kind(title: str) -> str:
    """Return a title without the kind of issue that a template begins it with; one that is nothing else stays."""
    kind = _KIND.match(title)
    return (title[kind.end() :] or title) if kind else title


def _says_nothing(answer: str) -> bool:
    if len(answer) > _LONGEST_ANSWER:
        return False
    plain = answer.strip(_MARKS)
    return _NO_ANSWER.fullmatch(plain.rstrip(".")) is not None or _VERSION.fullmatch(plain) is not None
