from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.bench.masking import measure
from soulcaster.domain.feedback.items import mask_item
from soulcaster.domain.text.masking import mask_ids, mask_personal, mask_values
from soulcaster.domain.text.normalize import TITLE_CHARS
from tests.support.make import item

TOKEN = "Ab1" * 14
WORDS = """
kim@example.com kim%40example.com git@github.com 83.12.4.17 2001:db8::8a2e:370:7334 https://u:p@h.example/ token=abcdef1
@ . : :: - = / + ( ) 1 12 555 0x1f [ ] a sk- eyJ é ß@
"""
pieces = st.sampled_from(
    [
        *WORDS.split(),
        *("+49 170 1234567", "(555) 234-5678", "4111 1111 1111 1111", "ghp_" + TOKEN, "-----BEGIN PRIVATE KEY-----"),
        *("ip ", "version ", "call me at ", " ", "\n", "Bearer ", "\ud83d"),
    ]
)
anything = st.lists(pieces | st.text(st.characters(), max_size=4), max_size=14).map("".join)


@given(anything)
def test_masked_text_stays_as_it_is(text: str) -> None:
    masked = mask_personal(text)
    assert mask_personal(masked) == masked
    assert isinstance(mask_ids(text), str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to kim.o'neil+x@mail.example.co.uk, please", "write to [email], please"),
        ("<kim@example.com>,jo@example.org.", "<[email]>,[email]."),
        ("müller@bücher.example", "[email]"),
        ("a@b.example@c.example", "[email]@c.example"),
        ("from 83.12.4.17 and 83.12.4.18.", "from [ip] and [ip]."),
        ("http://83.12.4.17:8080/x", "http://[ip]:8080/x"),
        ("the server 8.8.4.4 is slow; 9.9.9.9:53 too", "the server [ip] is slow; [ip]:53 too"),
        ("2001:db8:0:0:0:8a2e:370:7334 or 2001:db8::7334", "[ip] or [ip]"),
        ("call +49 170 1234567 or (555) 234-5678", "call [phone] or [phone]"),
        ("+1-555-234-5678, 555-234-5678, 1-555-234-5678", "[phone], [phone], [phone]"),
        ("my phone number is 0171 234 5678", "my phone number is [phone]"),
        ("card 4111 1111 1111 1111, 378282246310005", "card [card], [card]"),
        ("(555) 234-5678 4111 1111 1111 1111", "[phone] [card]"),
        ("password=a=b=c=d&x=token=a1b2c3d4", "password=[secret]&x=token=[secret]"),
        (f"key ghp_{TOKEN} here", "key [secret] here"),
        (f"sk-proj-{TOKEN} and AKIAABCDEFGHIJKLMNOP", "[secret] and [secret]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln", "[secret]"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: [secret]"),
        ("https://kim:hunter2@example.com/x?access_token=ab12cd34ef&y=1", "https://[secret]@example.com/x?access_token=[secret]&y=1"),
        (f"a\n-----BEGIN RSA PRIVATE KEY-----\n{TOKEN}\n-----END RSA PRIVATE KEY-----\nb", "a\n[secret]\nb"),
    ],
)  # fmt: skip
def test_personal_data_are_masked(text: str, expected: str) -> None:
    assert mask_personal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail kim@example.com.Please answer", "mail [email].Please answer"),
        ("写信给kim@example.com谢谢", "写信给[email]谢谢"),
        ("<mailto:kim@intranet>", "<mailto:[email]>"),
        ("?user=kim%40example.com&x=1", "?user=[email]&x=1"),
        ("_kim@example.com_", "_[email]_"),
        ("from 24.11.0.2 on; blocked address 24.11.0.2", "from 24.11.0.2 on; blocked address [ip]"),
        ("10.4.0.8 - kim [20/Nov/2026:20:30:05] x", "[ip] - kim [20/Nov/2026:20:30:05] x"),
        ("+49 170 1234567 12 times", "[phone] 12 times"),
        ("Telefon: 089/1234567, 2026-11-20", "Telefon: [phone], 2026-11-20"),
        ("Telefon 0711 / 123 456-78", "Telefon [phone]"),
        ("मेरा मोबाइल 9123456780 है", "मेरा मोबाइल [phone] है"),
        ("携帯は090-1234-5678です", "携帯は[phone]です"),
        ("JCB 3530111333300000", "JCB [card]"),
        ('{"password": "Hunter2x"}', '{"password": "[secret]"}'),
        ("my password is Hunter2x.", "my password is [secret]."),
        (f"api_key: {TOKEN}", "api_key: [secret]"),
    ],
)
def test_personal_data_are_masked_where_people_write_them(text: str, expected: str) -> None:
    assert mask_personal(text) == expected


def test_masking_is_as_good_as_promised() -> None:
    figures = measure()
    assert (figures.every.precision or 0) >= 0.98
    assert (figures.every.recall or 0) >= 0.95
    assert {found.name for found in figures.kinds if not found.marked} == set()


@pytest.mark.parametrize(
    "text",
    [
        "SeaMonkey 2.53.8.1 fails",
        "from version 12.3.4.5 on",
        "Chrome/91.0.44.124 and v10.1.2.3, 10.1.2.3-beta",
        "127.0.0.1 and 0.0.0.0, ::1",
        "at 12:34:56, std::vector, a::b::c",
        "npm i react@18.2.0 @types/node@20.1.0-rc.1",
        "git@github.com:owner/name.git and icon@2x.png",
        "@kim said so, me @ home",
        "order 1234567890123456, build 20200114043003, bug 1606681",
        "2020-01-14 04:30:03 and 2020-03-02 13",
        "error 404 on iOS 17.5.1, 3,080 items for $1,299.00",
        "https://example.com/comments/1606681234567?page=2",
        "sk-is-a-prefix-of-many-words-that-are-long, misc_things_of_some_length",
        "password= is empty, token == other_token",
        "draw@main.jsbundle:52:12, draw@main.app:52:12, getty@tty2.service, banner@2x.pdf",
        "backup@files.example.com:/srv/in and deploy@example.com:kit.git",
        "java.util.Map$Node@6d06d69c.name, ssh://kim@example.com/kit",
        "2.53.8.1 - 2026, firmware 10.5.0.22, upgraded from 101.2.3.4 to 102.0.1.7",
        "00:11:22:33:44:55:66:77, a::b:c:1, 12:30:05:17",
        "order 4111111111111111, DE89 3704 0044 0532 0130 00",
        "API call 1234567, Mobile 2026.11.20, cell 1234567 of the sheet",
        "/login?access_token=undefined, token=self.token.value, secret=<your-secret-1>",
        "postgres://user:password@db/main, PWD=/home/kim/app2, password: required",
        "sk_live_mode_is_not_supported, npm_lifecycle_script_postinstall_failed",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert mask_personal(text) == text


def test_values_are_masked_wherever_they_are() -> None:
    value: dict[str, Any] = {"kim@example.com": [{"user": {"email": "kim@example.com", "n": 7}}, None, "ok"]}
    assert mask_values(value) == {"kim@example.com": [{"user": {"email": "[email]", "n": 7}}, None, "ok"]}
    plain = {"a": ["b", {"c": 1.5}], "d": True}
    assert mask_values(plain) is plain


def test_an_item_is_masked_in_what_is_kept() -> None:
    one = item(
        title="Mail to kim@example.com",
        body="From 83.12.4.17",
        author="kim@example.com",
        url="https://example.com/u/kim@example.com",
        metadata={"ip": "83.12.4.17"},
    )
    masked = mask_item(one)
    assert (masked.title, masked.body, masked.author) == ("Mail to [email]", "From [ip]", "[email]")
    assert (masked.url, masked.id, masked.external_id) == (one.url, one.id, one.external_id)
    assert masked.metadata == {"ip": "[ip]"}
    assert mask_item(masked) is masked
    plain = item()
    assert mask_item(plain) is plain


def test_a_title_that_cuts_an_address_does_not_keep_half_of_it() -> None:
    address = "a" * 30 + "@" + "b" * 40 + ".example"
    body = f"Please write to {address} about it."
    title = body[: TITLE_CHARS - 1] + "…"
    assert mask_item(item(title=title, body=body)).title == "Please write to [email] about it."


@given(anything, anything)
def test_a_masked_item_stays_as_it_is(title: str, body: str) -> None:
    masked = mask_item(item(title=title, body=body, author=title, metadata={"a": [body]}))
    assert mask_item(masked) == masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error 404 on iOS 17", "error 404 on iOS 17"),
        ("order 12345678 of 2026", "order [number] of 2026"),
        ("id 8517ac23-dff5-4a4a-9f00-0123456789ab", "id [id]"),
        ("at 0x00007ff6, commit f3720549528fd4e2", "at [id], commit [id]"),
        ("see https://example.com/pricing/faq?utm=1#top", "see example.com pricing faq"),
        ("see www.example.com/login", "see example.com login"),
        (r"in /srv/app/views.py and C:\Users\kim\notes.txt", "in views.py and C:notes.txt"),
        ("and/or, 1/2, facade, deadbeef", "and/or, 1/2, facade, deadbeef"),
        ("UA Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/60.0 crashes", "UA   crashes"),
    ],
)
def test_ids_are_masked_and_what_tells_stays(text: str, expected: str) -> None:
    assert mask_ids(text) == expected
