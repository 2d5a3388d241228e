"""Reading delimited text: by the delimiter with which most rows have as many fields as there are names."""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice

from soulcaster.adapters.table_files.layout import agreement
from soulcaster.adapters.table_files.records import Dialect, Record, records

DELIMITERS = (",", ";", "\t", "|")

SAMPLE_LINES = 500
SAMPLE_CHARS = 512 * 1024

_SEP = re.compile(r'\s*"?sep=(?P<sign>.)"?[\s,;]*', re.IGNORECASE | re.DOTALL)
_ENOUGH = 0.5
"""The part of the rows that has to agree on a delimiter where the names may be a sentence; else it is one column."""


@dataclass(frozen=True, slots=True)
class Delimited:
    """How a text is delimited, and its line of Excel's `sep=;`, which is no row."""

    dialect: Dialect
    skipped_lines: int = 0

    def records(self, lines: Iterator[str]) -> Iterator[Record]:
        """Return the records of the text's lines, the first one included; lines count from 1."""
        found = records(islice(lines, self.skipped_lines, None), self.dialect)
        return map(self._in_file, found) if self.skipped_lines else found

    def _in_file(self, record: Record) -> Record:
        first, last = record.first_line + self.skipped_lines, record.last_line + self.skipped_lines
        return replace(record, first_line=first, last_line=last)


def delimited(lines: Iterator[str], named: str | None, names: Set[str]) -> Delimited:
    """Return how a text is delimited, by its first lines; `named` is what a person or the file's kind says."""
    sample, is_cut = _sample(lines)
    sep = _SEP.fullmatch(sample[0].rstrip("\r\n")) if sample else None
    skipped = 0 if sep is None else 1
    sample = sample[skipped:]
    given = named or (sep and sep["sign"])
    signs = (given,) if given else [sign for sign in DELIMITERS if any(sign in line for line in sample)]
    backslashes = (False, True) if any("\\" in line for line in sample) else (False,)
    scores = {}
    for dialect in (Dialect(sign, backslash) for backslash in backslashes for sign in signs):
        head = _head(sample, dialect, is_cut)
        if head:
            score = agreement(head, names)
            if given or (score.width > 1 and (score.is_plain or (score.part >= _ENOUGH and not score.skipped))):
                scores[dialect] = score
    best = max(scores, key=lambda one: scores[one], default=Dialect(given))  # of equals the first
    return Delimited(best, skipped)


def _head(sample: Sequence[str], dialect: Dialect, is_cut: bool) -> Sequence[Record]:
    head = list(records(sample, dialect))
    if is_cut:  # the last record may go on after the sample
        last = max((at for at, record in enumerate(head) if record.problem is not None), default=len(head) - 1)
        head = head[:last]
    return head


def _sample(lines: Iterator[str]) -> tuple[list[str], bool]:
    """Return the first lines, and whether there are more."""
    taken: list[str] = []
    chars = 0
    for line in lines:
        if len(taken) == SAMPLE_LINES or chars > SAMPLE_CHARS:
            return taken, True
        taken.append(line)
        chars += len(line)
    return taken, False
