"""Frames of stack traces, recognised by their shape and not by the language that printed them.

A frame is a line that names a place in a program (a file and a line, or an address) and otherwise nothing but a
symbol. A line with a place and a sentence, as compilers and logs print it, is no frame. Patterns have bounds and read
the start of a line, so a line costs a bounded time.
"""

import re
from dataclasses import dataclass

_LOOKED_AT = 600
"""Characters of a line that are read."""

_LONGEST_KEPT = 160
"""Characters of a frame that are kept."""

_MOST_TOKENS = 4
"""A line that has more words beside its place is a sentence."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a line says of a frame.

    `symbol` is what runs, empty if the line names the file alone; `file` has no folders. `is_ours` tells the
    application's own code from runtimes, frameworks and packages. A frame that is `is_marked` is one anywhere, others
    only beside another frame.
    """

    symbol: str
    file: str
    is_ours: bool
    is_marked: bool

    @property
    def text(self) -> str:
        """Return what is kept of a frame, without lines, columns and addresses."""
        return f"{self.symbol} {self.file}".strip()[:_LONGEST_KEPT]


_MARK = re.compile(
    r"""(?:
      \#\d{1,4}:?\s+ | \[\d{1,4}\]:?\s+ | \d{1,4}:\s+ | \d{1,4}\s+(?=\S{1,80}\s+(?:\S{1,80}\s+)?0x[0-9a-fA-F])
    | @\ (?:\w{1,80}\ )?(?=\S{1,300}:\d) | (?:at|from|by|in)\s+
    | (?:\w{1,40},\ )?called\ (?:from|at)\s+ | (?:Called|Raised|Re-raised)\ (?:from|at|by)\s+
    )
    (?:(?:at|from|by|in)\s+)? (?:async\s+|new\s+)?""",
    re.VERBOSE,
)
_FILE = r"""(?P<file>(?:[A-Za-z][A-Za-z+.-]{1,20}:(?!\d)/{0,3}|[A-Za-z]:\\)?[^\s()<>\[\]{}:"'|,;]{1,300})"""
_PLACES = (
    re.compile(r'File "(?P<file>[^"]{1,400})", line \d{1,7}(?:, in )?'),  # Python
    re.compile(r'(?:in )?file "(?P<file>[^"]{1,300})", lines? \d{1,7}(?:-\d+)?(?:, characters? \d+-\d+)?'),  # OCaml
    re.compile(r'\{file,"(?P<file>[^"]{1,300})"\},\{line,\d{1,7}\}'),  # Erlang
    re.compile(
        rf"""(?:(?<=[\s(\[@])|^)(?:(?:in|at)\ )?{_FILE}
          (?: :\d{{1,7}}(?::\d{{1,9}})?(?::in\b)? | \(\d{{1,7}}(?:,\d{{1,7}})?\):? | :line\ \d{{1,7}}
            | ,?\ line:?\ \d{{1,7}}\.? )
          (?=[\s)\]:,]|$)""",
        re.VERBOSE,
    ),
    re.compile(r"(?<![\w])0x[0-9a-fA-F]{4,16}(?![0-9a-zA-Z])(?P<file>)(?: in(?= ))?"),  # native
    re.compile(
        r"(?:^|[\s(@])(?:Native Method|Unknown Source|<anonymous>|\[native code\]|\[internal function\]|\[C\])"
        r"\)?:?(?=\s|$)(?P<file>)"
    ),
)
_ALWAYS_FRAMES = 3
"""The first of `_PLACES` are those of frames only."""

_AT_SIGN = re.compile(r"([^\s@]{0,200})@(?=\S{1,400}:\d|\[native code\])")
_LIBRARY = re.compile(r"\sfrom\s(\S{1,300})$")
_METHOD = re.compile(r"[^\s()]{1,300}\s?\([^()]{0,300}\)$")
_COMPONENT = re.compile(r"(\w{1,100}) \((?:created )?by \w{1,100}\)$")
_IN_BRACKETS = re.compile(r"\.?(?:\([^()]{0,300}\)|<[^<>]{0,300}>|\[[^\[\]]{0,300}\]|\{[^{}]{0,300}\})")
_OFFSET = re.compile(r"\s\+\s?(?:0x)?[0-9a-fA-F]{1,8}\b|\schar:\d{1,5}\b|\b0x[0-9a-fA-F]{4,16}\b")
_LINE_NUMBERS = re.compile(r"(?::\d{1,9}){1,3}$")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9+]{0,7}$")

_CALL = re.compile(
    r"(?:created by )?((?:[\w.~-]{1,80}/){0,12}[\w~-]{1,80}\.[\w.*()\[\]{}~-]{1,160}?)"
    r"(?:\([^()]{0,300}\))?(?: in goroutine \d{1,9})?$"
)
_NUMBERED = re.compile(
    r"(?:\d{1,4}:|\[\d{1,4}\])\s+(?:0x[0-9a-fA-F]{1,16} - )?"
    r"([^\s(]{1,300}(?: as [^\s(]{1,200})?)(?:\([^()]{0,200}\))?$"
)
_SYMBOL_STARTS = ("created by ", "[", *"0123456789")

_FURNITURE = re.compile(
    r"""\[?\.{3}\ .{0,40}\b(?:more|omitted|repeated|frames?)\b.{0,40}
    | \[Previous\ line\ repeated.{1,40}
    | <asynchronous\ suspension> | =+\ asynchronous\ gap\ =+ | \#\d{1,4}\ \{main\}
    | (?:[^\s:]{1,40}\ ){0,3}
      (?:stack|call\ ?stack|stack\ ?trace|backtrace|traceback|goroutine\ \d{1,9}|thread\ \#?\d{1,5})\b[^:]{0,60}:
    | note:\ .{0,40}RUST_BACKTRACE.{0,100}""",
    re.VERBOSE | re.IGNORECASE,
)

_THEIRS = re.compile(
    r"""
      (?:^|[/\\@(])(?:site-packages|dist-packages|node_modules|bower_components|vendor|gems|Pods|deps|\.cargo|\.rustup|rustc
        |\.pub-cache|\.m2|\.nuget|\.gradle|PackageCache|pkg[/\\]mod|go[/\\]src|lib[/\\]python[\d.]*|lib[/\\]ruby
        |nix[/\\]store|webpack|usr[/\\](?:lib|include|share|local[/\\](?:lib|go|rustup))|Windows|internal
        |lib64?(?=[/\\]lib))[/\\]
    | <frozen | webpack-internal | \bnode: | \bdart: | package:(?:flutter|dart|async|stack_trace)\b
    | ^(?:java|javax|jdk|jakarta|sun|com\.sun|kotlin|kotlinx|scala|groovy|clojure|android|androidx|dalvik|com\.android
        |com\.google\.android|System|Microsoft|Windows|mscorlib|UnityEngine|UnityEditor|org\.springframework|org\.apache
        |org\.eclipse|org\.hibernate|org\.junit|io\.netty|io\.reactivex|reactor|okhttp3|retrofit2
        |rust_begin_unwind|__rust\w*|runtime|net/http
        |UIKit\w*|Foundation|CoreFoundation|SwiftUI|GraphicsServices|QuartzCore|AppKit
        |gen_server|gen_statem|proc_lib|erlang|supervisor|GenServer|ExUnit)(?:[.:$/(\s]|$)
    | ^<?(?:core|std|alloc|tokio|hyper|futures)::
    | \b(?:libsystem\w*|libdyld|libobjc|libdispatch|libc(?:\+\+)?|libpthread|libart|libhwui|libandroid_runtime
        |libswift\w*|ntdll|kernel32|kernelbase|ucrtbase)\b
    | ^\(?(?:elixir|stdlib|kernel|phoenix\w*|plug\w*|ecto\w*|cowboy|bandit|ranch)\s\d
    """,
    re.VERBOSE,
)
_SIGNS = re.compile(r":\d|:line \d|line:? \d|line,\d|\(\d|0x[0-9a-fA-F]|[\])]:?$|\)[ :]|<anonymous>\)|\]\}")
"""Every frame has one of them; most other lines have none."""

_NO_WORDS = frozenset(
    {"async", "new", "static", "block", "in", "at", "from", "operator", "function", "method", "called"}
)


def read_frame(line: str) -> Frame | None:
    """Return the frame that a line shows; None if it shows none."""
    bare = line.strip()[:_LOOKED_AT]
    if not _SIGNS.search(bare):
        return None
    mark = _MARK.match(bare)
    rest = bare[mark.end() :] if mark else bare
    if at_sign := _AT_SIGN.match(rest):
        rest = f"{at_sign[1]} {rest[at_sign.end() :]}"
    is_marked = bool(mark or at_sign)
    for number, form in enumerate(_PLACES):
        if found := form.search(rest):
            return _placed(rest, found, is_marked=is_marked, is_certain=number < _ALWAYS_FRAMES)
    return _without_place(rest) if mark and mark[0].startswith(("at", "in")) else None


def _placed(rest: str, place: re.Match[str], *, is_marked: bool, is_certain: bool) -> Frame | None:
    path = _LINE_NUMBERS.sub("", place["file"])
    if path and not is_certain and not _is_path(path, is_marked=is_marked):
        return None
    left = f"{rest[: place.start()]} {rest[place.end() :]}"
    if library := _LIBRARY.search(left):
        path, left = path or library[1], left[: library.start()]
    symbol = _symbol(left, most_words=1 if place["file"] else 2)  # natively, the library is one of them
    if symbol is None or not (symbol or path):
        return None
    theirs = "<anonymous>" in place[0] or any(_THEIRS.search(part) for part in (path, left.strip(" ("), symbol))
    return Frame(symbol, _name(path), not theirs, is_marked or is_certain)


def _without_place(rest: str) -> Frame | None:
    """Return the frame of a line that names a method with its arguments, as .NET does, or a component of a page."""
    if component := _COMPONENT.match(rest):
        return Frame(component[1], "", True, True)
    symbol = rest.partition("(")[0].strip()
    if "." not in symbol or not _METHOD.match(rest):
        return None
    return Frame(symbol, "", not is_theirs(symbol), True)


def read_symbol(line: str) -> str | None:
    """Return the symbol of a line whose place is on the next line, as Go, Rust and Julia print it; None if none."""
    bare = line.strip()[:_LOOKED_AT]
    if " " in bare.partition("(")[0] and not bare.startswith(_SYMBOL_STARTS):
        return None
    if found := _NUMBERED.match(bare):
        return found[1] if any(sign in bare[found.start(1) :] for sign in "._:(") else None
    found = _CALL.match(bare)
    return found[1] if found else None


def is_theirs(symbol: str) -> bool:
    """Return whether a symbol is one of a runtime, a framework or a package."""
    return _THEIRS.search(symbol) is not None


def is_furniture(line: str) -> bool:
    """Return whether a line only introduces frames, or says how many are left out."""
    return _FURNITURE.fullmatch(line.strip()[:_LOOKED_AT]) is not None


def _is_path(path: str, *, is_marked: bool) -> bool:
    """Return whether what stands before a number is a file: it has folders, or an extension.

    A time of day has no letters. The name of a host has an extension, so that alone does only for marked lines.
    """
    if not any(char.isalpha() for char in path):
        return False
    if "/" in path or "\\" in path:
        return not path.startswith(("http://", "https://")) or path.count("/") > 2
    return _EXTENSION.search(path) is not None


def _symbol(left: str, most_words: int) -> str | None:
    """Return the symbol on a line without its place; None if the line is a sentence."""
    bare = _OFFSET.sub("", left)
    for _ in range(3):
        bare = _IN_BRACKETS.sub(" ", bare)
    tokens = [token for token in bare.split() if any(char.isalnum() or char in "_$" for char in token)]
    words = [token for token in tokens if token.isalpha() and token not in _NO_WORDS]
    if len(tokens) > _MOST_TOKENS or len(words) > most_words:
        return None
    if any(token.endswith((",", ".", "!", "?")) for token in tokens) or any(
        token.endswith(":") for token in tokens[:-1]
    ):
        return None
    symbol = " ".join(token.strip("():,;`'\"") for token in tokens)
    return symbol.removeprefix("in function ").removeprefix("in ").removesuffix(" called").removesuffix(" at")


def _name(path: str) -> str:
    """Return the last part of a path."""
    return path.replace("\\", "/").partition("?")[0].rstrip("/").rsplit("/", 1)[-1]
