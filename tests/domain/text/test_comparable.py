import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.feedback.items import COMPARED_CHARS, compared_item
from soulcaster.domain.text.comparable import LOOKED_AT, comparable
from soulcaster.domain.text.markup import to_text
from soulcaster.domain.text.masking import mask_personal
from soulcaster.domain.text.normalize import clean
from soulcaster.domain.text.trimming import trimmed
from tests.support.make import item

MARKS = "< > </a> <p> <!-- --> <script> </script> &amp; &# &#x41; [ ]( ) ![ ][x] ** _ ` ``` | --- aaaa 0x1f é"
pieces = st.sampled_from(
    [
        *MARKS.split(),
        *("# ", "- ", "1. ", "\n", "\n\n", "> ", "-- ", " wrote:", "On 3 ", "From: ", "Sent: x", "2026-01-01 10:00:00"),
        *("Traceback (most recent call last):\n", '  File "a.py", line 1, in f\n', "at f (a.js:1:2)\n"),
        *("#0 0x1 in f ()\n", "word ", "\u200b", "\ud83d"),
    ]
)
anything = st.lists(pieces | st.text(st.characters(), max_size=5), max_size=20).map("".join)


@given(anything)
def test_any_text_is_compared_by_something(text: str) -> None:
    short = comparable(text, 50)
    assert len(short) <= 50
    assert bool(short) >= bool(clean(text[:50]))
    assert "  " not in short
    assert trimmed(text) or not text
    assert isinstance(to_text(text), str)


words = st.text("abcdefgé", min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=30).map(" ".join), st.sampled_from(["", ".", "?", "!"]))
def test_plain_words_are_compared_as_they_are(text: str, end: str) -> None:
    assert comparable(text + end, COMPARED_CHARS) == text + end
    assert comparable("* " + text, COMPARED_CHARS) == text  # and not the quick way
    assert trimmed(text) == to_text(text) == text


UNITS = """
< <a>< <!-- <script> & &# &#9 [ [x]( [x](y ![ ]( _ _a * ` | - a a. a@ @ a@b. a@b.cc a@b.cc+ 1 1. 1.1 1- 1: : a: :: +1 (
(1 / /a \\ a/ :// http:// http://a http://a: www. sk- sk-a eyJ eyJa. token= = =a f f1 0x 0xf ffffffff- [12:00:00]
data:a; \u200d e\u0301 \u0301 é 🙂
"""
REPEATED = [
    *UNITS.split(),
    *(
        "<a ",
        "[x](y ",
        "__a ",
        "| a ",
        "- ",
        "-\n",
        "# ",
        "> ",
        ">\n",
        "> a\n",
        "-- \n",
        "1. ",
        "+1 ",
        "1 ",
        "00 ",
        " ",
    ),
    *("On 3 wrote:\n", "On 3 a\n wrote:\n", "From: a\n", "x wrote", "schrieb ", "-----BEGIN PRIVATE KEY-----\nAAAA"),
    *("-----BEGIN PRIVATE KEY-----", "Mozilla/5.0 (", "Mozilla/5.0 (a) ", "Bearer ", "at ", "at a", "at a(", "at a ("),
    *("at f (a.js:1:2)\n", 'File "a', '  File "a.py", line 1\n', "#0 0x1 in f ()\n", "0 a 0x1 b\n", "A" * 60),
    *("00 00 00 00 00 00 ", "2026-01-01 10:00", "\r", "\n", "\t"),
]


@pytest.mark.parametrize("unit", REPEATED)
def test_a_text_that_repeats_itself_costs_no_more_than_its_length(unit: str) -> None:
    long = unit * (200_000 // len(unit))
    assert clean(long) is not None
    assert len(comparable(long, COMPARED_CHARS)) <= COMPARED_CHARS
    assert isinstance(mask_personal(long), str)


def test_only_the_start_of_a_long_text_is_looked_at() -> None:
    assert comparable("<b>" * LOOKED_AT + "</b> end", COMPARED_CHARS) != "end"
    assert len(comparable("word " * LOOKED_AT, COMPARED_CHARS)) < COMPARED_CHARS + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hello <b>team</b>,</p><br/>it <a href='x?a>b'>fails</a>", "Hello team,\nit b'>fails"),
        ("&lt;b&gt; &amp; AT&T &#39;x&#39; &copy=1", "<b> & AT&T 'x' &copy=1"),
        ("a<!-- please fill in -->b<br>c", "ab\nc"),
        ("<script>var a = 1</script><p>text</p>", "text"),
        ("<textarea> and <script> fail, List<String>, 1 < 2", "<textarea> and <script> fail, List<String>, 1 < 2"),
        ("see [the docs](https://example.com/a_(b) \"T\") and ![shot](x.png)", "see the docs and shot"),
        ("[![badge](https://x/y.svg)](https://x) [text][ref] <https://example.com/a>", "badge text example.com a"),
        ("# Title\n\n- [x] one\n2. two\n---\n| a | b |\n|---|:-:|\n| 1 | 2 |", "Title\none\ntwo\na b\n1 2"),
        ("**bold** __very__ _it_ snake_case `code` ~~gone~~", "bold very it snake_case code gone"),
        ("```python\nx = 1\n```", "x = 1"),
    ],
)  # fmt: skip
def test_markup_goes_and_what_is_read_stays(text: str, expected: str) -> None:
    assert comparable(text, COMPARED_CHARS) == expected


ANSWER = "This happens to me every time I start it."


@pytest.mark.parametrize(
    "text",
    [
        f"{ANSWER}\n\nOn Mon, 3 Nov 2026 at 10:00, Bob <b@example.com> wrote:\n> I cannot\n> see it",
        f"{ANSWER}\n\nOn Mon, 3 Nov 2026 at 10:00, Bob\n<b@example.com> wrote:\n> I cannot",
        f"{ANSWER}\n\nAm 03.11.2026 um 10:00 schrieb Bob <b@example.com>:\n> Es geht nicht",
        f"On 3 Nov 2026, Bob wrote:\n> I cannot\n\n{ANSWER}",
        f"> I cannot see it\n\n{ANSWER}",
        f"{ANSWER}\n-----Original Message-----\nFrom: Bob\nIt is broken here.",
        f"{ANSWER}\n\nFrom: Bob <b@example.com>\nSent: Monday\nTo: Kim\nSubject: Broken\n\nIt is broken.",
        f"{ANSWER}\n-- \nKim Example\nHead of Things",
        f"{ANSWER}\n\nSent from my iPhone",
    ],
)
def test_replies_and_signatures_go(text: str) -> None:
    assert comparable(text, COMPARED_CHARS) == ANSWER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It says:\n> Cannot save the file", "It says:\nCannot save the file"),
        ("+1\n\n> The export fails on large files", "+1\n> The export fails on large files"),
        ("> only a quote", "> only a quote"),
        ("-- \nKim", "--\nKim"),
        ("From: the settings page\nit crashes", "From: the settings page\nit crashes"),
        ("Bob wrote:\nit crashes", "Bob wrote:\nit crashes"),
    ],
)
def test_what_is_said_is_not_taken_for_a_reply(text: str, expected: str) -> None:
    assert comparable(text, COMPARED_CHARS) == expected


def test_of_a_stack_trace_the_fault_and_our_own_frames_stay() -> None:
    python = """It fails:
Traceback (most recent call last):
  File "/usr/lib/python3.11/asyncio/base.py", line 12, in run
    return self.go()
  File "/srv/app/main.py", line 1, in main
    serve()
  File "/srv/app/one.py", line 1, in one
    two()
    ^^^^^
  File "/srv/app/two.py", line 7, in two
    three()
  File "/srv/app/three.py", line 9, in three
    int("x")
ValueError: invalid literal"""
    assert comparable(python, COMPARED_CHARS) == (
        "It fails:\none one.py\ntwo two.py\nthree three.py\nValueError: invalid literal"
    )
    java = """java.lang.IllegalStateException: no card
\tat java.util.Optional.orElseThrow(Optional.java:403)
\tat com.bank.Cards.find(Cards.java:12)
\tat org.springframework.web.Servlet.service(Servlet.java:9)
\t... 12 more
Caused by: com.bank.Gone: it is gone"""
    assert comparable(java, COMPARED_CHARS) == (
        "java.lang.IllegalStateException: no card\ncom.bank.Cards.find Cards.java\nCaused by: com.bank.Gone: it is gone"
    )
    script = """TypeError: x is undefined
    at render (https://example.com/static/app.js:1:234)
    at next (/srv/node_modules/next/index.js:4:5)
at the end it stops (always)"""
    assert comparable(script, COMPARED_CHARS) == (
        "TypeError: x is undefined\nrender app.js\nat the end it stops (always)"
    )


def test_dumps_and_times_go() -> None:
    text = (
        "2026-11-03 10:00:01,123 ERROR it fails\n"
        "00000010: 48 65 6c 6c 6f 20 77 6f 72 6c 64  Hello world\n"
        f"key {'QUJD' * 40} end\n" + "a=1;" * 200
    )
    lines = comparable(text, COMPARED_CHARS).split("\n")
    assert lines[:2] == ["ERROR it fails", "key end"]
    assert len(lines[2]) <= 120


def test_the_brief_masks_what_a_project_keeps() -> None:
    made = compared_item(item(title="Login of kim@example.com", body="From 83.12.4.17, <b>order</b> 12345678"))
    assert (made.text, made.title) == ("Login of [email]\nFrom [ip], order [number]", "Login of kim@example.com")
