"""The entries of a feed, and any bytes in place of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.errors import InvalidMessage
from soulcaster.pollers.atom import MOST_ENTRIES, read_entries
from tests.support.linear_time import growth, long_growth
from tests.support.pumps import Pump

FEED = '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:m="urn:media">'
ENTRY = """<entry><author><name>/u/kim</name><uri>https://e.x</uri></author><category term="python" label="r/python"/>
<content type="html">&lt;p&gt;a &amp;amp; b</content><id> t3_abc </id><m:thumbnail url="x"/><m:title>not this</m:title>
<link rel="self" href="https://e.x/self"/><link href="https://e.x/one"/><link href="https://e.x/two"/>
<source><id>t3_other</id><title>of another</title></source>
<updated>2026-11-18T11:07:40+00:00</updated><published>2026-11-18</published><title>A <![CDATA[<title>]]></title>
<title>second</title></entry>"""


def test_an_entry_has_what_it_says_first() -> None:
    first, second = read_entries(f"{FEED}<id>of the feed</id>{ENTRY}<entry><id>t3_b</id></entry></feed>".encode())
    assert first == {
        "author": "/u/kim",
        "category": "python",
        "content": "<p>a &amp; b",
        "id": "t3_abc",
        "link": "https://e.x/one",
        "published": "2026-11-18",
        "title": "A <title>",
        "updated": "2026-11-18T11:07:40+00:00",
    }
    assert second == {"id": "t3_b"}


def test_a_feed_without_entries_is_empty() -> None:
    assert read_entries(f"{FEED}</feed>".encode()) == []


@pytest.mark.parametrize(
    "body",
    [
        f"{FEED}{'<entry/>' * (MOST_ENTRIES + 1)}</feed>",
        f"{FEED}{ENTRY}",
        "<feed><entry/></feed>",
        f"<!DOCTYPE feed [<!ENTITY a 'b'>]>{FEED}&a;</feed>",
        f"{FEED}&a;</feed>",
    ],
)
def test_what_is_no_page_of_a_feed_is_refused(body: str) -> None:
    with pytest.raises(InvalidMessage):
        read_entries(body.encode())


def test_a_document_type_in_another_encoding_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        read_entries(f"<?xml version='1.0' encoding='utf-16'?><!DOCTYPE feed>{FEED}</feed>".encode("utf-16"))


PIECES = [
    "<entry>",
    "</entry>",
    "<author>",
    "<name>",
    "<link href='a'/>",
    "<title>",
    "</title>",
    "<![CDATA[",
    "&amp;",
    "é",
]


@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text(), st.binary(max_size=4))
def test_any_bytes_are_read_or_refused(inside: str, after: bytes) -> None:
    for body in (
        f"{FEED}{inside}</feed>".encode("utf-8", "replace"),
        f"{FEED}{inside}".encode("utf-8", "replace") + after,
    ):
        try:
            read_entries(body)
        except InvalidMessage:
            continue


def _read(text: str) -> None:
    try:
        read_entries(text.encode())
    except InvalidMessage:
        return


IN_ENTRY = f"{FEED}<entry>"
PUMPS = [
    *(Pump(f"{IN_ENTRY}<author>", unit) for unit in ("a.", "a@", "(", "<name>", "&amp;")),
    *(Pump(IN_ENTRY, unit) for unit in ("<title>a</title>", "<link href='a'/>", "<author><name>a</name></author>")),
    *(Pump(f"{IN_ENTRY}<content>", unit) for unit in ("<div>", "&lt;b", "<b>x</b>", "&#1234;", "\n")),
    *(Pump(FEED, unit) for unit in ("<a xmlns='u'>", "<entry>", "<!--", "<?a ?>", "<![CDATA[", "<a ", "&")),
    Pump(f"{IN_ENTRY}<link href='", "a"),
    Pump(f"{IN_ENTRY}<updated>", "2026-01-01T"),
    Pump(f"{IN_ENTRY}<link ", "a='1' "),
]


@pytest.mark.parametrize("pump", PUMPS, ids=lambda pump: pump.pump)
def test_any_feed_takes_linear_time(pump: Pump) -> None:
    assert growth(_read, pump) is None
    assert long_growth(_read, pump) is None
