"""Removing what an author did not write: quoted replies, signatures, most frames of a stack trace, dumps.

Text is read line by line, in time proportional to its length. A text of which nothing would be left stays as it is.
"""

import re
from itertools import islice

FRAMES = 3
"""Frames kept of a stack trace: the application's own, nearest to the fault."""

_FEWEST_WORDS = 5
"""A shorter reply keeps its quotation, which it needs to be understood."""

_SIGNATURE_LINES = 8
_LONG_LINE = 400
_SPACES_PER_CHAR = 25
_LINE_SHOWN = 120

_WORD = re.compile(r"\w{2,}")

_ATTRIBUTION_END = re.compile(
    r"(?:wrote|schrieb[^:]{0,80}|a écrit|escribió|escreveu|ha scritto|schreef[^:]{0,80}|skrev[^:]{0,80}"
    r"|napisał\(?a?\)?)\s?:$"
)
_ATTRIBUTION_START = re.compile(r"(?:On|Am|Le|El|Em|Il|Op|Den|W dniu) .{0,40}\d")
_ORIGINAL = re.compile(
    r"-{4,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original) ?-{4,}$", re.IGNORECASE
)
_FORWARDED = re.compile(r"-{4,} ?Forwarded message ?-{4,}$|Begin forwarded message:$", re.IGNORECASE)
_FROM = re.compile(r"\*?(?:From|Von|De|Da)\s?:\*?\s")
_SENT = re.compile(r"\*?(?:Sent|Gesendet|Envoyé|Enviado|Enviada em|Inviato|Date|Datum)\s?:\*?\s")
_SENT_FROM = re.compile(r"(?:Sent from my|Get Outlook for|Von meinem|Envoyé de mon|Enviado desde mi) .{1,40}$")

_TRACEBACK = "Traceback (most recent call last):"
_MARKS = re.compile(r"[\s^~|]+$")
_PYTHON = re.compile(r'File "(.{1,400})", line \d+(?:, in (.{1,200}))?$')
_MAY_BE_FRAME = ("at ", "from ", "#", "/", "... ", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
_FRAME = (
    re.compile(
        r"at (?:async )?(.{0,300}?) ?\(([^()]{0,400}:\d+|Native Method|Unknown Source|<anonymous>)\)$"
    ),  # JS, Java
    re.compile(r"at ([^\s()]{1,200}\.[^\s()]{1,200})\([^()]{0,300}\)(?: in (.{1,300}):line \d+)?$"),  # .NET
    re.compile(r"at (?:async )?()(\S{1,400}:\d+)$"),  # JavaScript without a name
    re.compile(r"([^\s@]{0,200})@(\w+:\S{1,400}:\d+)$"),  # Firefox and Safari
    re.compile(
        r"#?\d{1,3}:?\s{1,8}(?:(?!0x)\S{1,100}\s{1,40})?0x[0-9a-fA-F]+ (?:in )?(\S{1,200})(.{0,300})$"
    ),  # native
    re.compile(r"#\d{1,3} ()(\S{1,300})\(\d+\): .{0,300}$"),  # PHP
    re.compile(r"(?:from )?()(\S{1,300}\.rb:\d+:in .{1,200})$"),  # Ruby
    re.compile(r"()(/\S{1,300}\.go:\d+)(?: \+0x[0-9a-f]+)?$"),  # Go
    re.compile(r"(\.\.\.) \d+ ()(?:more|common frames omitted)$"),
)
_THEIRS = re.compile(
    r"site-packages|dist-packages|/lib/python|node_modules|<frozen|<anonymous>|node:|webpack/|/gems/|/usr/|^\.\.\.$"
    r"|(?:^|[\s(/])(?:java|javax|jdk|sun|kotlin|kotlinx|scala|android|androidx|dalvik|com\.android|System|Microsoft"
    r"|org\.springframework|org\.apache|io\.netty)\.|internal/|libsystem|libc\.so|libpthread|ntdll|kernel32"
)
_LINE_NUMBERS = re.compile(r"(?::\d+)+$|:\d+:in ")

_DUMP = re.compile(r"(?:(?:0x)?[0-9a-fA-F]{4,16}[:|]?\s{1,8})?(?:[0-9a-fA-F]{2,8}[ \t]{1,4}){6,}+.{0,40}$")
_LOG_TIME = re.compile(
    r"[12](?<!\w.)\d{3}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
    r"(?: ?(?:Z|UTC|GMT)\b)?(?: ?[+-]\d\d:?\d\d\b)?"
    r"|\[\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]"
)
_BLOB = re.compile(r"(?:data:[\w/+.;=-]{1,100},)?(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{60,}+")


def trimmed(text: str) -> str:
    """Return the author's own lines and the useful frames of stack traces; the whole text if nothing is left."""
    lines = _without_machines(_without_replies(text.split("\n")))
    return "\n".join(lines) if _says(lines, 1) else text


def _says(lines: list[str], words: int) -> bool:
    """Return whether the lines have at least `words` words."""
    found = (word for line in lines for word in _WORD.finditer(line))
    return sum(1 for _ in islice(found, words)) == words


# ---- replies -----------------------------------------------------------------------------------------------------


def _without_replies(lines: list[str]) -> list[str]:
    """Return the lines without quoted replies, their introductions and the signature; all lines if little is left."""
    own: list[str] = []
    before = ""  # the last line that is neither empty nor quoted
    cited = replied = False
    for at, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith(">"):
            # After a line that ends in a colon the author cites something: an error message, say.
            cited = cited or before.endswith(":")
            if cited:
                own.append(bare.lstrip("> "))
            replied = replied or not cited
            continue
        if own and _nothing_follows(line, bare, lines, at):
            replied = True
            break
        if bare.endswith(":") and _ATTRIBUTION_END.search(bare[-120:]):
            wrapped = not _ATTRIBUTION_START.match(bare)
            if not wrapped or _ATTRIBUTION_START.match(before):
                if wrapped:
                    own.pop()
                replied, before = True, ""
                if own and not any(following.lstrip().startswith(">") for following in lines[at + 1 : at + 3]):
                    break
                continue
        if _FORWARDED.match(bare) or _SENT_FROM.match(bare):
            continue
        if bare:
            cited, before = False, bare
        own.append(line)
    return own if not replied or _says(own, _FEWEST_WORDS) else lines


def _nothing_follows(line: str, bare: str, lines: list[str], at: int) -> bool:
    """Return whether a line begins the original message or a signature."""
    if bare == "--" and (line == "-- " or not lines[at - 1].strip()):
        return len(lines) - at - 1 <= _SIGNATURE_LINES
    if bare.startswith("----"):
        return _ORIGINAL.match(bare) is not None
    return _FROM.match(bare) is not None and any(_SENT.match(near.strip()) for near in lines[at + 1 : at + 4])


# ---- machines ----------------------------------------------------------------------------------------------------


def _without_machines(lines: list[str]) -> list[str]:
    """Return the lines without dumps and most frames, and with blobs, log times and the ends of long lines cut."""
    kept: list[str] = []
    python: list[tuple[str, bool]] = []
    others: list[tuple[str, bool]] = []
    indent = 0
    for line in lines:
        bare = line.strip()
        if python and (len(line) - len(line.lstrip()) > indent or _MARKS.match(line)):
            continue  # the source line of the frame
        if bare.startswith('File "') and (found := _PYTHON.match(bare)):
            indent = len(line) - len(line.lstrip())
            python.append((f"{_file(found[1])} {found[2] or ''}".strip(), not _THEIRS.search(found[1])))
            continue
        if (bare.startswith(_MAY_BE_FRAME) or "@" in bare or ".rb:" in bare) and (frame := _frame(bare)):
            others.append(frame)
            continue
        if python or others:
            kept += [*_nearest(python[::-1])[::-1], *_nearest(others)]
            python, others = [], []
        if bare == _TRACEBACK or (bare and _DUMP.match(bare)):
            continue
        kept.append(_shortened(line))
    return [*kept, *_nearest(python[::-1])[::-1], *_nearest(others)]


def _frame(bare: str) -> tuple[str, bool] | None:
    """Return what is kept of a frame and whether it is the application's; None if the line is no frame."""
    for form in _FRAME:
        if found := form.match(bare):
            name, place = found[1], found[2] or ""
            file = _file(_LINE_NUMBERS.sub(" ", place).strip())
            return f"{name} {file}".strip(), not (_THEIRS.search(name) or _THEIRS.search(place))
    return None


def _file(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _nearest(frames: list[tuple[str, bool]]) -> list[str]:
    """Return the frames to keep, of frames ordered newest first."""
    return [text for text, ours in frames if ours][:FRAMES] or [text for text, _ in frames[:1]]


def _shortened(line: str) -> str:
    if len(line) > _LONG_LINE and line.isascii() and line.count(" ") * _SPACES_PER_CHAR < len(line):
        line = line[:_LINE_SHOWN]  # minified, or data
    if len(line) >= 10 and ":" in line:
        line = _LOG_TIME.sub("", line)
    return _BLOB.sub(" ", line) if len(line) >= 60 else line
