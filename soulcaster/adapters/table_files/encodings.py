"""In which encoding a file's text is."""

import codecs
import re
from pathlib import Path
from typing import BinaryIO

from soulcaster.errors import BadInput

_OTHER_ALPHABET = re.compile("[\u0370-\u06ff]")
"""Greek, Cyrillic, Armenian, Hebrew and Arabic letters."""

_MIXED = re.compile("[A-Za-z][\u0370-\u06ff]|[\u0370-\u06ff][A-Za-z]")
_CHUNK_BYTES = 1024 * 1024
_SAMPLE_BYTES = 256 * 1024
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(raw: BinaryIO, path: Path, named: str | None) -> tuple[str, str | None]:
    """Return the encoding that decodes all of a file, and a word on it if it is a guess; leave the file at its start.

    Raises:
        BadInput: the file is empty, or nothing decodes it.
    """
    sample = raw.read(_SAMPLE_BYTES)
    if not sample:
        raise BadInput(f"{path} is empty.")
    if named is not None:
        return _named(raw, path, named), None
    marked = next((encoding for mark, encoding in _MARKS if sample.startswith(mark)), None)
    if marked is not None:
        _check(raw, path, marked)
        return marked, None
    wrong = _first_wrong(raw, "utf-8-sig")
    if wrong is None and b"\0" not in sample:
        return "utf-8-sig", None
    guess = _guess(raw, sample, wrong or 0)
    if wrong is None and (guess is None or not guess.startswith("utf-")):
        return "utf-8-sig", None  # with a stray zero in it; only text of wider characters is full of them
    if guess is None:
        raise BadInput(
            f"{path} is not UTF-8 (near byte {wrong:,}), and nothing tells what it is; name it with --encoding."
        )
    return guess, f"It is read as {guess}, which is a guess; if letters are wrong, name another with --encoding."


def _named(raw: BinaryIO, path: Path, named: str) -> str:
    try:
        codecs.lookup(named)
        "".encode(named)
    except LookupError as error:
        raise BadInput(f"{named!r} is no encoding of text: give a name such as utf-8, cp1252 or shift_jis.") from error
    encoding = "utf-8-sig" if codecs.lookup(named).name == "utf-8" else named
    _check(raw, path, encoding)
    return encoding


def _check(raw: BinaryIO, path: Path, encoding: str) -> None:
    wrong = _first_wrong(raw, encoding)
    if wrong is not None:
        raise BadInput(f"{path} is not {encoding} (near byte {wrong:,}).")


def _guess(raw: BinaryIO, sample: bytes, wrong: int) -> str | None:
    """Return the likeliest encoding that decodes all of the file, and makes no words of two alphabets of it."""
    from chardet import EncodingEra, detect_all

    if wrong > len(sample) // 2:  # what is not ASCII comes late: look there
        raw.seek(max(0, wrong - len(sample) // 2))
        sample = raw.read(_SAMPLE_BYTES)
        raw.seek(0)
    era = EncodingEra.MODERN_WEB | EncodingEra.DOS | EncodingEra.LEGACY_MAC
    for found in detect_all(sample, ignore_threshold=True, prefer_superset=True, encoding_era=era):
        guess = (found["encoding"] or "ascii").lower()
        if guess in {"ascii", "utf-8"} or _mixes_alphabets(sample.decode(guess, "replace")):
            continue
        if _first_wrong(raw, guess) is None:
            return guess
    return None


def _mixes_alphabets(text: str) -> bool:
    return len(_MIXED.findall(text)) * 10 > len(_OTHER_ALPHABET.findall(text))


def _first_wrong(raw: BinaryIO, encoding: str) -> int | None:
    """Return about where the first byte is that the encoding cannot have; None if it decodes all of the file."""
    decoder = codecs.getincrementaldecoder(encoding)()
    raw.seek(0)
    read = 0
    try:
        while chunk := raw.read(_CHUNK_BYTES):
            decoder.decode(chunk)
            read += len(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return read + error.start
    finally:
        raw.seek(0)
    return None
