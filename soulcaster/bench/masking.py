"""`soulcaster bench masking`: how well personal data is found, and how often something else is taken for it.

A part counts as found if its first and last character and its kind are right, so half an address is an error twice: it
is missed, and what was masked is wrong.
"""

import random
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from soulcaster.domain.text.cards import CARD
from soulcaster.domain.text.emails import EMAIL
from soulcaster.domain.text.ip_addresses import IP
from soulcaster.domain.text.masking import mask_personal
from soulcaster.domain.text.phones import PHONE
from soulcaster.domain.text.secrets import SECRET
from soulcaster.errors import BadInput

FILE = Path(__file__).parent.parent / "data" / "masking.txt"
KINDS = tuple(mask.strip("[]") for mask in (EMAIL, IP, PHONE, CARD, SECRET))

_MARK = re.compile(rf"\{{({'|'.join(KINDS)}) ([^{{}}\n]++)\}}")
_MASK = re.compile(rf"\[({'|'.join(KINDS)})\]")
_RANDOM = re.compile(r"<(b62|b64|hex|up) (\d{1,3})>")
_ALPHABETS = {
    "b62": string.ascii_letters + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "hex": "0123456789abcdef",
    "up": string.ascii_uppercase + string.digits,
}


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A part of a text that is personal data."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with the parts that people marked in it."""

    section: str
    text: str
    parts: frozenset[Part]


@dataclass(frozen=True, slots=True)
class Found:
    """How many parts are marked, how many were masked, and how many of these were right."""

    name: str
    marked: int
    masked: int
    right: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class MaskingFigures:
    """The figures of all texts, of each kind and of each section, and the texts with an error as they were masked."""

    texts: int
    every: Found
    kinds: tuple[Found, ...]
    sections: tuple[Found, ...]
    errors: tuple[tuple[str, str], ...]


def read_marked(path: Path) -> list[Marked]:
    """Return the texts of a file; see the head of `FILE` for its form.

    Raises:
        BadInput: the file cannot be read, or has no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{path} cannot be read: {problem}") from problem
    marked: list[Marked] = []
    section = "texts"
    for number, line in enumerate(lines):
        if line.startswith("## "):
            section = line[3:].strip()
        elif line.strip() and not line.startswith("# "):
            marked.append(_marked(section, _with_random(line, number)))
    if not marked:
        raise BadInput(f"{path} has no text.")
    return marked


def _with_random(line: str, seed: int) -> str:
    chance = random.Random(seed)  # noqa: S311  (the same texts in every run)
    return _RANDOM.sub(lambda found: "".join(chance.choices(_ALPHABETS[found[1]], k=int(found[2]))), line)


def _marked(section: str, line: str) -> Marked:
    text, parts, done = "", [], 0
    for mark in _MARK.finditer(line):
        text += line[done : mark.start()].replace("\\n", "\n")
        parts.append(Part(len(text), len(text) + len(mark[2]), mark[1]))
        text += mark[2]
        done = mark.end()
    return Marked(section, text + line[done:].replace("\\n", "\n"), frozenset(parts))


def masked_parts(one: Marked, masked: str) -> frozenset[Part]:
    """Return the parts that were masked: those that are marked if the text is as it should be, else by what is left."""
    expected, done = "", 0
    for part in sorted(one.parts):
        expected += f"{one.text[done : part.start]}[{part.kind}]"
        done = part.end
    if masked == expected + one.text[done:]:
        return one.parts
    kinds = _MASK.findall(masked)
    left = map(re.escape, _MASK.split(masked)[::2])
    found = re.fullmatch("(.+?)".join(left), one.text, re.DOTALL)
    assert found is not None, "masking changes nothing but what it masks"  # noqa: S101
    return frozenset(Part(*found.span(at), kind) for at, kind in enumerate(kinds, start=1))


def measure(texts: Path | None = None) -> MaskingFigures:
    """Return the figures of a file of marked texts, by default of `FILE`.

    Raises:
        BadInput: the file cannot be used.
    """
    counts: Counter[tuple[str, str]] = Counter()
    errors: list[tuple[str, str]] = []
    every = read_marked(texts or FILE)
    for one in every:
        masked = mask_personal(one.text)
        parts = masked_parts(one, masked)
        for what, these in (("marked", one.parts), ("masked", parts), ("right", one.parts & parts)):
            for part in these:
                counts.update((name, what) for name in ("all", part.kind, one.section))
        if parts != one.parts:
            errors.append((one.section, masked))
    sections = dict.fromkeys(one.section for one in every)
    return MaskingFigures(
        len(every), _found("all", counts), tuple(_of(KINDS, counts)), tuple(_of(sections, counts)), tuple(errors)
    )


def _of(names: Iterable[str], counts: Counter[tuple[str, str]]) -> Iterator[Found]:
    return (_found(name, counts) for name in names)


def _found(name: str, counts: Counter[tuple[str, str]]) -> Found:
    marked, masked, right = (counts[name, what] for what in ("marked", "masked", "right"))
    return Found(name, marked, masked, right, right / masked if masked else None, right / marked if marked else None)
