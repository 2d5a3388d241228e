"""No text of a stranger takes time that grows faster than its length.

Two nets: every regular expression of the program with texts made from it, and every function of the domain that takes
a text with texts made from the expressions around it. Both find new ones by themselves. Parsers of files, which are not
all ours, get what such files are made of.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from soulcaster.domain.clustering.features import lexical
from soulcaster.domain.feedback import items
from soulcaster.domain.feedback.boilerplate import Boilerplate
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes import harmless, plan, protected_paths, redaction, strangers, test_changes
from soulcaster.domain.sources import SOURCES
from soulcaster.domain.text import (
    cards,
    comparable,
    contentless,
    context,
    digits,
    emails,
    forms,
    frames,
    ip_addresses,
    language,
    mail_words,
    markup,
    masking,
    normalize,
    phones,
    quotes,
    replies,
    secrets,
    stop_words,
    traces,
    trimming,
    wordless,
    words,
)
from soulcaster.domain.text import given as given_texts
from soulcaster.fixer.agents import aider, events
from soulcaster.fixer.ecosystems import names, node_scripts, python, reports
from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import ReportKind
from soulcaster.ports.messaging import Record
from soulcaster.processes import logs
from soulcaster.services import intake
from tests.support.linear_time import growth, long_growth, too_long
from tests.support.patterns import Expression, expressions
from tests.support.pumps import Pump, pumps

FILE_NAME = 255
"""Characters of a file's name at most, on every file system that we know."""

MOST_CHARS: Mapping[str, int] = {
    "soulcaster.domain.fixes.test_habits": test_changes._MAX_LINE,
    "soulcaster.domain.fixes.test_changes": test_changes._MAX_LINE,
    "soulcaster.domain.fixes.patch_check._BUILD_FILES": FILE_NAME,
    "soulcaster.fixer.ecosystems.node": node_scripts.MAX_SCRIPT,
    "soulcaster.fixer.ecosystems.rust._TEST": names.MAX_NAME,
}
"""Expressions that grow faster, and how long a text is that their callers give them at most."""


def _applied(expression: Expression) -> Callable[[str], object]:
    found = expression.pattern
    given: Callable[[str], Any] = (
        str if isinstance(found.pattern, str) else lambda text: text.encode("latin-1", "replace")
    )
    if expression.use == "match":
        return lambda text: found.match(given(text))
    if expression.use == "fullmatch":
        return lambda text: found.fullmatch(given(text))
    return lambda text: sum(1 for _ in found.finditer(given(text)))


@cache
def _by_module() -> dict[str, list[Expression]]:
    found: dict[str, list[Expression]] = {}
    for one in expressions():
        found.setdefault(one.module, []).append(one)
    return found


@pytest.mark.parametrize("room", ["domain.text", "domain.sources", "domain.clustering", "domain.fixes", "fixer", ""])
def test_regular_expressions_take_linear_time(room: str) -> None:
    rooms = [
        f"soulcaster.{one}" for one in ("domain.text", "domain.sources", "domain.clustering", "domain.fixes", "fixer")
    ]
    slow = []
    for module, found in _by_module().items():
        mine = [one for one in rooms if module.startswith(one)]
        if mine != ([f"soulcaster.{room}"] if room else []):
            continue
        for expression in found:
            most = next((most for name, most in MOST_CHARS.items() if expression.name.startswith(name)), None)
            measure = growth if most is None else partial(too_long, most_chars=most)
            work = _applied(expression)
            told = (measure(work, one) for one in pumps(expression.pattern.pattern, expression.pattern.flags))
            slow += [f"{expression.name}: {one}" for one in told if one][:1]
    assert not slow, "\n".join(slow)


AT = datetime(2026, 1, 1, tzinfo=UTC)


def _item(text: str) -> FeedbackItem:
    return FeedbackItem(
        id="1", project_id="p", source="x", external_id="1", title=text[:500], body=text, author=text, url=text,
        created_at=AT, received_at=AT, github_repo_url=text, metadata={"repo": text, "a": [text]},
    )  # fmt: skip


def _read(text: str) -> None:
    given: dict[str, Any] = {"project_id": "p", "source": text[:90] or "x", "title": text, "body": text, "author": text}
    given["metadata"] = {"raw_text": text}
    contents = intake.read(Record("feedback.raw", 0, 0, 0, None, json.dumps(given).encode()))
    for accepted in contents.items:
        intake.masked(accepted)


def _parse(vendor: str, payload: Callable[[str], Any], text: str, **headers: str) -> None:
    try:
        SOURCES[vendor].parse(headers, payload(text))
    except ValueError:
        return


def _issue(text: str) -> dict[str, Any]:
    issue = {
        "id": 1,
        "title": text,
        "body": text,
        "html_url": text,
        "user": {"login": text},
        "labels": [{"name": text}],
    }
    return {"action": "opened", "issue": issue, "repository": {"html_url": text, "full_name": text}}


def _event(text: str) -> dict[str, Any]:
    frames = [{"function": text, "filename": text, "in_app": True}]
    exception = {"values": [{"type": text, "value": text, "stacktrace": {"frames": frames}}]}
    event = {"event_id": "1", "message": text, "exception": exception, "culprit": text, "web_url": text}
    return {"data": {"event": {**event, "fingerprint": [text], "url": text, "tags": [[text, text]]}}}


def _alert(text: str) -> dict[str, Any]:
    return {"data": {"metric_alert": {"id": 1}, "description_title": text, "description_text": text}}


def _post(text: str) -> dict[str, Any]:
    return {"kind": "t3", "data": {"id": "1", "title": text, "selftext_html": f'<div class="md">{text}'}}


def _plan(text: str) -> None:
    plan.by_model(plan.PlannedFix(f"a{text}", f"b{text}"), text)


FUNCTIONS: Mapping[str, Callable[[str], object]] = {
    "text.given.Text": given_texts.Text(100_000, blank="").cleaned,
    "text.frames.is_furniture": frames.is_furniture,
    "text.frames.is_theirs": frames.is_theirs,
    "text.frames.read_frame": frames.read_frame,
    "text.frames.read_symbol": frames.read_symbol,
    "text.traces.without_frames": lambda text: traces.without_frames(text.split("\n")),
    "text.cards.without_cards": cards.without_cards,
    "text.context.words_before": lambda text: context.words_before(text, len(text)),
    "text.emails.without_emails": emails.without_emails,
    "text.ip_addresses.without_ips": ip_addresses.without_ips,
    "text.phones.without_phones": phones.without_phones,
    "text.comparable.comparable": lambda text: comparable.comparable(text, 2_000),
    "text.contentless.contentless": contentless.contentless,
    "text.forms.without_form": forms.without_form,
    "text.digits.has_digit": digits.has_digit,
    "text.forms.without_kind": forms.without_kind,
    "text.quotes.without_quotes": quotes.without_quotes,
    "text.replies.without_replies": lambda text: replies.without_replies(text.split("\n")),
    "text.language.foreign_languages": lambda text: language.foreign_languages(text, frozenset({"en"})),
    "text.language.language_of": language.language_of,
    "text.markup.to_text": markup.to_text,
    "text.masking.count_digits": masking.count_digits,
    "text.masking.mask_ids": masking.mask_ids,
    "text.masking.mask_personal": masking.mask_personal,
    "text.masking.without_masks": masking.without_masks,
    "text.normalize.cut": lambda text: normalize.cut(text, 100),
    "text.normalize.escaped": normalize.escaped,
    "text.normalize.seen": normalize.seen,
    "text.normalize.whole_line": normalize.whole_line,
    "text.normalize.clean": normalize.clean,
    "text.normalize.normalized": lambda text: normalize.normalized(text, "NFKC"),
    "text.normalize.one_line": lambda text: normalize.one_line(text, 80),
    "text.normalize.title_and_body": lambda text: normalize.title_and_body(text, text),
    "text.normalize.visible": normalize.visible,
    "text.normalize.well_formed": normalize.well_formed,
    "text.secrets.looks_random": secrets.looks_random,
    "text.secrets.has_token": secrets.has_token,
    "text.secrets.without_secrets": secrets.without_secrets,
    "text.stop_words.stop_words": stop_words.stop_words,
    "text.words.words": words.words,
    "text.trimming.trimmed": trimming.trimmed,
    "text.wordless.wordless": wordless.wordless,
    "clustering.features.lexical.fingerprints": lexical.fingerprints,
    "clustering.features.lexical.stem": lexical.stem,
    "feedback.boilerplate": lambda text: Boilerplate().without([items.compared_item(_item(text))] * 9, [True] * 9),
    "feedback.items.mask_item": lambda text: items.mask_item(_item(text)),
    "feedback.items.compared_item": lambda text: items.compared_item(_item(text)),
    "feedback.items.content_hash": lambda text: items.content_hash(_item(text)),
    "feedback.items.repo_of": lambda text: items.repo_of(_item(text)),
    "intake": _read,
    "sources.github.webhook": partial(_parse, "github", _issue, **{"x-github-event": "issues"}),
    "sources.reddit.listing": partial(_parse, "reddit", _post),
    "sources.reddit.feed": partial(
        _parse, "reddit", lambda text: {"id": "1", "title": text, "content": f'<div class="md">{text}', "link": text}
    ),
    "sources.sentry.event": partial(_parse, "sentry", _event),
    "sources.sentry.alert": partial(_parse, "sentry", _alert),
    "fixes.harmless.code": lambda text: harmless.code(text, 20_000),
    "fixes.harmless.inline": lambda text: harmless.inline(text, 20_000),
    "fixes.harmless.quoted": lambda text: harmless.quoted(text, 20_000),
    "fixes.harmless.title": lambda text: harmless.title(text, 20_000),
    "fixes.plan.by_model": _plan,
    "fixes.protected_paths.protected": lambda text: protected_paths.protected(text[:4_096], ["*a*b*.c", "**/x/**/y"]),
    "fixes.redaction.redact": lambda text: redaction.Redactor(["a-secret"]).redact(text),
    "fixes.strangers.cut": lambda text: strangers.cut(text, 10_000),
    "fixes.strangers.plain": strangers.plain,
    "fixes.strangers.plain_line": lambda text: strangers.plain_line(text, 200),
    "fixer.agents.aider": aider._without_changes,
    "processes.logs": logs.without_quotations,
}  # fmt: skip
"""What strangers' texts pass, by module and name."""

COVERED = (
    *(cards, comparable, context, emails, frames, given_texts, ip_addresses, language, markup, masking, normalize),
    *(contentless, digits, forms, mail_words, phones, quotes, replies, secrets, stop_words, traces, trimming),
    *(wordless, words),
    *(lexical, harmless, redaction, strangers),
)
"""Modules whose public functions of a text must all be in `FUNCTIONS`."""


def _of_a_text() -> Iterator[str]:
    for module in COVERED:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters.values()), None)
            if (
                function.__module__ == module.__name__
                and not name.startswith("_")
                and first
                and first.annotation is str
            ):
                yield f"{module.__name__.removeprefix('soulcaster.domain.')}.{name}"


def test_every_function_of_a_text_is_driven() -> None:
    text_modules = {name for name in sys.modules if name.startswith("soulcaster.domain.text.")}
    assert text_modules <= {module.__name__ for module in COVERED}
    assert set(_of_a_text()) <= set(FUNCTIONS)


@cache
def _known_pumps() -> list[Pump]:
    rooms = ("soulcaster.domain", "soulcaster.services")
    found = (one for module, ones in _by_module().items() if module.startswith(rooms) for one in ones)
    return [pump for one in found for pump in pumps(one.pattern.pattern, one.pattern.flags)]


MARKS = "\u0301\u0327\u0f73\uff9e"
_LETTERS = st.sampled_from("a1 \n\t@:/.-_=#<>[]()\"'|\\&;é\u200d\u202e👩" + MARKS)
_TEXTS = st.text(_LETTERS, max_size=8)
_PUMPS = st.builds(Pump, _TEXTS, st.text(_LETTERS, min_size=1, max_size=6), _TEXTS) | st.deferred(
    lambda: st.sampled_from(_known_pumps())
)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(_PUMPS)
@example(Pump("a", "\u0301\u0327"))
@example(Pump("a", "\u0f73\u0327"))
@example(Pump("1 ", "sk-"))
def test_functions_of_strangers_texts_take_linear_time(name: str, pump: Pump) -> None:
    assert growth(FUNCTIONS[name], pump) is None


WIDE = "\U0001f600"
"""Makes each character of a text take four bytes."""

LONG_PUMPS = [
    *(Pump(WIDE, unit) for unit in ("x<b>", "<td>x</td>", "<li>", "<br>x", "<blockquote>", "x\n", "&amp;<i>")),
    *(Pump(WIDE, unit) for unit in ('<a href="https://e.x">x</a>', "- <p>", "a.", "<div>")),
    Pump(WIDE + "<pre>", "x<b>"),
    Pump(WIDE + "y" * 32_000 + "- ", "<p>"),
    Pump(WIDE + '<a href="https://e.x">', "<b>x</a>"),
]


@pytest.mark.parametrize("name", sorted(name for name in FUNCTIONS if name.startswith("sources.")))
def test_vendors_texts_of_the_greatest_length_take_linear_time(name: str) -> None:
    found = [told for pump in LONG_PUMPS if (told := long_growth(FUNCTIONS[name], pump))]
    assert not found, "\n".join(found)


def _of_file(read: Callable[[StrangersFolder, str], object], folder: Path, text: str) -> None:
    (folder / "file").write_text(text)
    read(StrangersFolder(folder), "file")


def _of_report(kind: ReportKind, folder: Path, text: str) -> None:
    (folder / "report").write_text(text)
    reports.read_cases(kind, StrangersFolder(folder))


FILES: Mapping[str, Callable[[Path, str], object]] = {
    "toml": partial(_of_file, StrangersFolder.toml),
    "ini": partial(_of_file, lambda folder, path: folder.ini(path, "a")),
    "json": partial(_of_file, StrangersFolder.json),
    "python": lambda folder, text: python._tox_dependencies(text),
    "event": lambda folder, text: events.read_event(text),
    **{f"report.{kind}": partial(_of_report, kind) for kind in get_args(ReportKind)},
}
"""Parsers of whole files that strangers write: of a repository, of its tests, of an agent."""

FILE_PUMPS = [
    *(Pump("", unit) for unit in ("a.", "a\n", "[", "[a]\n", "[[a]]\n", "- a\n", "  a\n", '{"a":', "<a>", "a = 1\n")),
    *(Pump("[", unit) for unit in ("a.", '"a".', "{},")),
    *(Pump("[a]\n", unit) for unit in ("a.", "a\n", " \n", "a=1\n", "a=\n  b\n")),
    *(Pump("[a]\na", unit, "b") for unit in (" ", "=", " . ")),
    *(Pump("a = ", unit) for unit in ("[", "{a=", "{a.b=1},", "1", "1_", '"a', "\\u0041")),
    *(Pump('a = """', unit) for unit in ("\\\n", '"" ', "\\u0041")),
    *(Pump('{"a":[', unit) for unit in ("[", "{},", '"a",', "1", "\\ud800")),
    *(Pump("<testsuite>", unit) for unit in ("<testcase/>", "<testsuite name='a'>", "&lt;", "<![CDATA[", "<!--")),
    *(Pump("<testcase ", unit) for unit in ("a='1' ", "a", "a=' ' ")),
    Pump("<testcase name='", "a.", "' classname='a'/>"),
    Pump("test ", "a ... "),
    Pump("     Running ", "a ("),
]


@pytest.mark.parametrize("name", sorted(FILES))
def test_parsers_of_strangers_files_take_linear_time(name: str, tmp_path: Path) -> None:
    work = partial(FILES[name], tmp_path)
    found = [told for pump in FILE_PUMPS if (told := growth(work, pump) or long_growth(work, pump))]
    assert not found, "\n".join(found)


def test_defaults_of_many_sections_take_linear_time(tmp_path: Path) -> None:
    def work(text: str) -> None:
        numbers = range(len(text) // 8)
        given = ["[DEFAULT]", *(f"a{i}=1" for i in numbers), *(f"[{i}]" for i in numbers)]
        FILES["ini"](tmp_path, "\n".join(given))

    assert growth(work, Pump("", "a")) is None


def test_work_that_grows_faster_is_found() -> None:
    assert growth(lambda text: re.search(r"a+b", text), Pump("", "a"))
    assert growth(lambda text: re.search(r"(?<!a)a++b", text), Pump("", "a")) is None
    assert too_long(lambda text: re.search(r"a+b", text), Pump("", "a"), 12_000)
    assert any(growth(re.compile(r"[a-z]+\d").search, pump) for pump in pumps(r"[a-z]+\d"))
