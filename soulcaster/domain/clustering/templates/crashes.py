"""Crashes, in text as it is compared: what is thrown, what it says, and the application's own frames.

text/traces.py has left of a trace only these frames, each as a line of its symbol and its file.
"""

import re
from collections.abc import Iterable

from soulcaster.domain.clustering.templates.words import Words, template_words

_MOST_SAID = 30
"""Words beside the crash. With more, a person reports it, and it is their text."""

_LOOKED_AT = 60
"""Lines of a text that are looked at."""

_FRAME = re.compile(r"\S{1,200} [\w.+-]{1,100}\.[A-Za-z]\w{0,7}$")
_THROWN = re.compile(
    r"(?:\(?[\w$.:]{1,160}(?:Error|Exception|Panic|Fault|Failure|Warning|Interrupt)\b"
    r"|\*\* \(|panic\b|thread '[^']{1,80}' panicked"
    r"|(?:PHP )?fatal error\b|unhandled\b|uncaught\b|exception\b|signal \d|SIG[A-Z]{3,5}\b|EXC_[A-Z_]{3,40}\b)",
    re.IGNORECASE,
)


def crash_words(text: str) -> Words | None:
    """Return what identifies a crash, as words of a template; None for any other text.

    The first word is the frames with what was thrown, which have to be equal; the others are those of the message.
    """
    if "\n" not in text:
        return None
    frames: list[str] = []
    thrown: list[str] = []
    said = 0
    continues = False
    for line in text.split("\n", _LOOKED_AT)[:_LOOKED_AT]:
        if _FRAME.match(line) is not None:
            frames.append(line)
            continues = False
        elif continues or _THROWN.match(line) is not None:
            thrown.append(line)
            continues = not continues and line.endswith(":")  # Rust says on the next line what is wrong
        else:
            said += len(line.split())
    if not frames or not thrown or said > _MOST_SAID:
        return None
    return (_in_one_word([thrown[0].split(maxsplit=1)[0], *frames]), *template_words("\n".join(thrown)))


def _in_one_word(parts: Iterable[str]) -> str:
    return "@".join("@".join(part.split()) for part in parts)
