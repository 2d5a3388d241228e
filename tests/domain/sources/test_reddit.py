from dataclasses import replace
from typing import Any

import pytest

from soulcaster.domain.sources import Delete, Upsert
from soulcaster.domain.sources.reddit import parse
from tests.support.captured import load


def only(payload: Any) -> Upsert:
    (outcome,) = parse({}, payload)
    assert isinstance(outcome, Upsert)
    return outcome


@pytest.mark.parametrize("post", ["self_post", "link_post"])
def test_listing_and_feed_give_the_same_item(post: str) -> None:
    listed, fed = (only(load("reddit", f"{way}_{post}").payload) for way in ("listing", "feed"))
    assert listed.volatile.keys() == {"score", "num_comments"}
    assert replace(listed, volatile={}) == fed


def test_votes_and_comments_are_no_edit() -> None:
    one, later = (only(load("reddit", name).payload) for name in ("listing_self_post", "listing_raw_json"))
    assert one.volatile != later.volatile
    assert replace(one, volatile={}, version=None) == replace(later, volatile={}, version=None)
    assert one.version is not None
    assert later.version is not None
    assert one.version < later.version


def test_a_link_that_an_author_wrote_is_not_the_page_of_the_post() -> None:
    payload = load("reddit", "feed_self_post").payload
    written = '<div class="md"><p><a href="https://a.example">[link]</a></p>'
    upsert = only(payload | {"content": payload["content"].replace('<div class="md">', written)})
    assert upsert.metadata == {"subreddit": "acmeshop"}


def of_html(html: str) -> str | None:
    content = (
        f'<!-- SC_OFF --><div class="md">{html}</div><!-- SC_ON --> submitted by <a href="https://x.example">x</a>'
    )
    return only({"id": "t3_a", "title": "A title", "content": content}).body


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One</p>\n\n<p>two\nthree</p>", "One\n\ntwo three"),
        ("<p>a<br/>b</p>", "a\nb"),
        ("<h1>Steps</h1>\n<ol>\n<li>Open</li>\n<li><p>Press</p></li>\n</ol>", "Steps\n- Open\n- Press"),
        (
            "<blockquote><p>said</p><blockquote><p>before</p></blockquote></blockquote><p>no</p>",
            "> said\n\n> > before\n\nno",
        ),
        ("<pre><code>a\n  b &lt;c&gt;\n</code></pre>\n<p>d</p>", "a\n  b <c>\n\nd"),
        ('<p>see <a href="https://a.example/?x=1&amp;y=2">here</a>.</p>', "see here (https://a.example/?x=1&y=2)."),
        ('<p><a href="https://a.example">https://a.example</a></p>', "https://a.example"),
        ('<p><a href="/r/other">r/other</a> <a href="javascript:x">y</a></p>', "r/other y"),
        ("<p>1 &lt; 2 &amp;amp; 3</p>", "1 < 2 &amp; 3"),
        ('<div class="inner"><p>in</p></div><p>after</p>', "in\n\nafter"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a b\n1 2"),
        ("", None),
    ],
)
def test_html_to_text(html: str, expected: str | None) -> None:
    assert of_html(html) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[deleted]",
        "[removed]",
        "[deleted by user]",
        "[ Removed by Reddit ]",
        "[ Removed by Reddit on account of violating the [content policy](/help/contentpolicy). ]",
    ],
)
def test_gone_whatever_the_words_are(text: str) -> None:
    data = {"id": "a", "title": "A title", "selftext": text}
    assert parse({}, {"kind": "t3", "data": data}) == (Delete("a"),)


def test_an_id_from_wherever_it_stands() -> None:
    address = "https://www.reddit.com/r/acmeshop/comments/1abc23/export/"
    assert only({"id": "t3_1abc23", "title": "A"}).external_id == "1abc23"
    assert only({"title": "A", "link": address}).external_id == "1abc23"
    assert only({"kind": "t3", "data": {"name": "t3_1abc23", "title": "A"}}).external_id == "1abc23"
    with pytest.raises(ValueError, match="t1_c1 is not a post's id"):
        parse({}, {"id": "t1_c1", "title": "/u/kim on A"})


@pytest.mark.parametrize("text", ["[removed] my account, now what?", "[deleted] is all that I see", "It was removed"])
def test_words_that_only_begin_so(text: str) -> None:
    assert only({"kind": "t3", "data": {"id": "a", "title": text, "selftext": text}}).title == text


def listed(**fields: object) -> dict[str, Any]:
    post = {"id": "1a", "title": "Anyone else?", "selftext": "", "permalink": "/r/myapp/comments/1a/x/"}
    return {"kind": "t3", "data": post | fields}


def test_a_cross_post_has_the_text_of_its_parent() -> None:
    parent = {"id": "2b", "title": "Broken", "selftext": "Uploads hang &amp; stop."}
    assert only(listed(crosspost_parent_list=[parent])).body == "Uploads hang & stop."
    assert only(listed(selftext="Mine too.", crosspost_parent_list=[parent])).body == "Mine too."
    assert only(listed(crosspost_parent_list=[parent | {"selftext": "[removed]"}])).body is None
    assert only(listed(crosspost_parent_list=[None, 3, {}])).body is None


def test_the_choices_of_a_poll_and_the_captions_of_pictures_are_text() -> None:
    poll = {"options": [{"text": "Sync hangs"}, {"text": "Export is blank"}, {"text": ""}, None]}
    assert only(listed(poll_data=poll)).body == "- Sync hangs\n- Export is blank"
    assert only(listed(selftext="Vote.", poll_data=poll)).body == "Vote.\n\n- Sync hangs\n- Export is blank"
    pictures = {"items": [{"caption": "before"}, {"media_id": "x"}]}
    assert only(listed(gallery_data=pictures)).body == "- before"
    assert (
        only(listed(crosspost_parent_list=[{"selftext": "", "poll_data": poll}])).body
        == "- Sync hangs\n- Export is blank"
    )
