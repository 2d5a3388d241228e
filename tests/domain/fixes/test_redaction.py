"""What a job prints is shown without secrets, and redaction takes no longer for a text made to be slow."""

import base64
import json
import re
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soulcaster.domain.fixes import redaction
from soulcaster.domain.fixes.redaction import KEY_CHARS, Redactor, secret_forms
from soulcaster.domain.text.masking import mask_personal
from soulcaster.domain.text.secrets import SECRET, without_secrets

TOKEN = "Ab1" * 14
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj" * 4
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


def redacted(text: str, *secrets: str) -> str:
    return Redactor(secret_forms(secrets)).redact(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"cloning with ghp_{TOKEN}", "cloning with [secret]"),
        (f"gho_{TOKEN} ghs_{TOKEN} github_pat_{TOKEN}", "[secret] [secret] [secret]"),
        ("AKIAABCDEFGHIJKLMNOP", "[secret]"),
        ("xoxb-123456789012-abcdefghij", "[secret]"),
        (f"sk-proj-{TOKEN} sk-ant-api03-{TOKEN}", "[secret] [secret]"),
        (f"AIza{'x' * 35}", "[secret]"),
        (f"npm_{'a1' * 18} pypi-{'a1' * 20}", "[secret] [secret]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln", "[secret]"),
        ("git clone https://x-access-token:abc@github.com/a/b", "git clone https://[secret]@github.com/a/b"),
        ("> Authorization: Basic a2ltOmh1bnRlcjI=", "> Authorization: [secret]"),
        ('curl -H "authorization: token abc" https://h', 'curl -H "authorization: [secret]" https://h'),
        ("{'X-Api-Key': 'abc', 'Accept': 'text/html'}", "{'X-Api-Key': [secret], 'Accept': 'text/html'}"),
        ("export STRIPE_KEY=abc; make", "export STRIPE_KEY=[secret]; make"),
        ("DB_PASSWORD=p MY_TOKEN: 'a b' A_SECRET = x", "DB_PASSWORD=[secret] MY_TOKEN: [secret] A_SECRET = [secret]"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": [secret], "n": 1}'),
        (r"{\"password\": \"abc\", \"n\": 1}", r"{\"password\": [secret], \"n\": 1}"),
        ("password: hunter2", "password: [secret]"),
        (f"a\n{BEGIN}\n{BODY}\n{END}\nb", "a\n[secret]\nb"),
        (json.dumps({"private": f"{BEGIN}\n{BODY}\n{END}\n"}), r'{"private": "[secret]\n"}'),
        (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{BODY}\n-----END PGP PRIVATE KEY BLOCK-----", "[secret]"),
        ("\x1b[31mghp_\x1b[1m" + TOKEN + "\x1b[0m", "[secret]"),
        (f"ghp_\u200b{TOKEN}", "[secret]"),
        (f"ghp_{TOKEN[:20]}\x00{TOKEN[20:]}", "[secret]"),
    ],
)  # fmt: skip
def test_a_secret_of_a_known_form_is_replaced(text: str, expected: str) -> None:
    assert redacted(text) == f"{expected}\n"


@pytest.mark.parametrize(
    "text",
    [
        "running 214 tests in 3 files\n",
        "tokens used: 1024, cost: $0.02\n",
        "MAX_TOKENS=100 keys: 3 monkey: 2\n",
        "if password == other: token is SECRET::new\n",
        "https://github.com/a/b/pull/1 at 12:30:01\n",
        "sk-is-a-prefix-of-many-words-that-are-long\n",
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert redacted(text) == text


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a url": lambda value: quote(value, safe=""),
    "in a url, lower case": lambda value: re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
    "in json": lambda value: json.dumps(value)[1:-1],
    "in base64": lambda value: base64.b64encode(value.encode()).decode(),
    "after a user in base64": lambda value: base64.b64encode(f"kim:{value}".encode()).decode(),
    "between in base64": lambda value: base64.b64encode(f"user7:{value}@@".encode()).decode(),
    "in url-safe base64": lambda value: base64.urlsafe_b64encode(f"u:{value}".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", ["correct horse/battery?>~staple", 'p"a\\ss ü w0rd'])
def test_a_known_secret_is_replaced_in_each_of_its_forms(form: str, secret: str) -> None:
    written = FORMS[form](secret)
    shown = redacted(f"before {written} after", secret)
    assert SECRET in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after\n")
    left = shown.removeprefix("before ").removesuffix(" after\n").replace(SECRET, "")
    assert len(left) <= 14, "what its neighbours share characters of base64 with"


def test_the_longer_of_two_secrets_is_replaced_as_a_whole() -> None:
    assert redacted("abcdefgh-longer", "abcdefgh", "abcdefgh-longer") == "[secret]\n"


def test_a_short_value_is_no_secret() -> None:
    assert redacted("a short one", "short") == "a short one\n"


def test_each_line_of_a_secret_of_several_lines_is_one() -> None:
    redactor = Redactor(secret_forms(["first half of it\nsecond half of it"]))
    assert [redactor.redact("x first half of it"), redactor.redact("second half of it y")] == [
        "x [secret]\n",
        "[secret] y\n",
    ]


def test_a_secret_of_one_call_is_forgotten_after_it() -> None:
    redactor = Redactor()
    assert redactor.redact("of this call", forms=secret_forms(["of this call"])) == "[secret]\n"
    assert redactor.redact("of this call") == "of this call\n"


@given(st.lists(st.integers(0, 9), max_size=8))
def test_a_private_key_is_hidden_however_it_is_cut_into_chunks(cuts: list[int]) -> None:
    lines = [
        "before",
        BEGIN,
        *[BODY[n : n + 64] for n in range(0, len(BODY), 64)],
        END,
        "between",
        BEGIN,
        BODY,
        END,
        "x",
    ]
    redactor = Redactor()
    places = sorted({0, *cuts, len(lines)})
    chunks = ["\n".join(lines[first:end]) for first, end in pairwise(places)]
    shown = "".join(map(redactor.redact, chunks))
    assert [line for line in shown.split("\n") if line] == ["before", SECRET, "between", SECRET, "x"]


def test_a_key_that_never_ends_hides_no_more_than_a_key_may_have() -> None:
    redactor = Redactor()
    assert redactor.redact(f"{BEGIN}\n") == "[secret]\n"
    lines = [redactor.redact(f"{n:063}\n") for n in range(KEY_CHARS // 64 + 2)]
    assert lines[0] == ""
    assert lines[-1].endswith("\n")
    assert sum(line != "" for line in lines) <= 3


@given(st.text(st.characters(), max_size=200))
def test_what_is_shown_is_whole_lines_without_controls(text: str) -> None:
    shown = redacted(text)
    assert shown == "" or shown.endswith("\n")
    assert not {"\x1b", "\r", "\x00", "\u202e"} & set(shown)
    shown.encode()


def test_a_long_text_without_line_ends_is_cut_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "PIECE_CHARS", 64)
    words = [f"word{n} npm_{'a1' * 18}" for n in range(20)]
    assert redacted(" ".join(words)) == " ".join(f"word{n} [secret]" for n in range(20)) + "\n"
    assert redacted(",".join(words)) == ",".join(f"word{n} [secret]" for n in range(20)) + "\n"
    assert redacted("x" * 1000) == "x" * 1000 + "\n"


SIGNS = [
    *("sk-", "sk-a", "eyJ", "eyJaaaaaaaaa-", "eyJaaaaaaaaa.eyJ", "ghp_", "Bearer ", "Bearer a", "://a:b", BEGIN, END),
    *("-----", "PASSWORD=", "PASSWORD", "TOKEN: ", '_KEY"', "authorization:", "cookie\\", "=", "a=", "\x1b[", "\x1b[0"),
    *("\x1b]", "a\n", "SG.aaaaaaaaaaaaaaaaaaaaa.", "xoxa-", "AKIA", " ", "\t", "-----BEGIN ", "A", "password", "'"),
    *('TOKEN=\\"', "a-secret-value", "hf_", "a\u0301"),
]
SMALL, LARGE = 8 * 1024, 64 * 1024


def cost(work: Callable[[str], object], text: str) -> float:
    """The CPU time of this thread per character, in microseconds: the better of two."""
    took = []
    for _ in range(2):
        began = time.thread_time()
        work(text)
        took.append(time.thread_time() - began)
    return min(took) / len(text) * 1e6


@pytest.mark.parametrize("work", [redacted, without_secrets])
@settings(max_examples=12, deadline=None)
@given(unit=st.lists(st.sampled_from(SIGNS), min_size=1, max_size=2).map("".join))
@example(unit="sk-")
@example(unit="eyJaaaaaaaa-")
def test_a_text_made_to_be_slow_costs_no_more_per_character_when_it_is_longer(
    work: Callable[[str], object], unit: str
) -> None:
    small, large = (cost(work, unit * (size // len(unit))) for size in (SMALL, LARGE))
    assert large < 4 * max(small, 0.5)


def test_masking_of_a_run_of_token_signs_is_quick() -> None:
    assert cost(mask_personal, "1 " + "sk-" * (LARGE // 3)) < 5
