"""Sentry: issues, events and alerts from integrations, the WebHooks plug-in and SDKs.

An item is a Sentry issue, and an event is an occurrence of it. What differs between events is ignored (breadcrumbs,
request, contexts, tags and above all the user, with IP and e-mail address), volatile (counts, release, environment) or
a sample (message, frames). A message about an issue has no trace: its text is a summary, and it carries the state.

A report that a person wrote (Sentry's User Feedback) is that person's words alone. Of a group of exceptions each member
counts; a group of one member is the same problem as that member alone.

The id is that of Sentry's issue, which events and issues both carry. An event without it (from an SDK, posted straight
to us) gets `fingerprint:` and a hash of its fingerprint; if the SDK sets none, the fingerprint is the exception's type
and the functions of the frames that matter. A metric alert is one item per rule; each incident is an occurrence.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from soulcaster.domain.sources._changes import Nothing, SourceChange, Upsert
from soulcaster.domain.sources._exceptions import Raised, are_group, chains
from soulcaster.domain.sources._json import at, identifier, items, known, mapping, moment, text, web_address, whole
from soulcaster.domain.text.normalize import one_line

HEADERS = ("sentry-hook-resource", "sentry-hook-timestamp")

FRAMES = 3
"""Frames of a trace that are shown, and that identify an event without an issue."""

_FEEDBACK = 6001
"""Sentry's number of the occurrences that are User Feedback (its src/sentry/issues/grouptype.py)."""

_EVIDENCE = 3
_LINES = 5
_LINE_CHARS = 500

_NO_PROBLEM = frozenset({"comment", "installation", "preprod_artifact", "seer"})
"""Resources that are not about a problem."""

_STATES = {
    "created": "unresolved",
    "unresolved": "unresolved",
    "resolved": "resolved",
    "archived": "ignored",
    "ignored": "ignored",
}
"""Sentry's name of an issue's status after each action; `assigned` does not change the status."""

_ISSUE_IN_ADDRESS = re.compile(r"/(?:issues|group)/([0-9]+)(?:/|$)")
_EVENT_IN_ADDRESS = re.compile(r"/events/[^/]+/?$")
_TITLE_OF_FEEDBACK = re.compile(r"User Feedback(?::\s*|$)", re.IGNORECASE)
_PROMPT = re.compile(r"^(?:critical|warning|resolved):\s+", re.IGNORECASE)
_VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:0x)?[0-9a-f]{8,}|0x[0-9a-f]+|[0-9]+(?:[.,:-][0-9]+)*",
    re.IGNORECASE,
)
"""Ids, hexadecimal and other numbers in a message."""

_DEFAULT = re.compile(r"\{\{\s*default\s*\}\}")


def parse(headers: Mapping[str, str], payload: Any) -> tuple[SourceChange, ...]:
    """Return the change in a delivery.

    The payload decides what it is, not the header: only the payload is signed, and plug-in and SDKs send no header.

    Raises:
        ValueError: there is no issue, event or alert in the payload, or it has no id or no text.
    """
    if not isinstance(payload, dict):
        raise ValueError("the payload is not a JSON object")
    data = mapping(payload.get("data"))
    alert = data.get("metric_alert")
    if isinstance(alert, dict):
        return (_of_alert(headers, text(payload.get("action")), data, alert),)
    places = (data.get("error"), data.get("event"), payload.get("event"), payload)  # each may have what another lacks
    layers = [place for place in places if isinstance(place, dict)]
    issue = mapping(data.get("issue") or payload.get("issue"))
    if any(_first(layers, key) for key in ("event_id", "exception", "message", "logentry", "title")):
        return (_of_event(layers, issue, payload),)
    if issue:
        return (_of_issue(headers, text(payload.get("action")), issue),)
    resource = headers.get("sentry-hook-resource") or next(
        (name for name in ("comment", "installation") if name in data), ""
    )
    if resource in _NO_PROBLEM:
        return (Nothing(f"not about a problem: {resource}"),)
    raise ValueError("there is no issue, event or alert in it" + (f", but {resource}" if resource else ""))


def _of_issue(headers: Mapping[str, str], action: str | None, issue: Mapping[str, Any]) -> Upsert:
    external_id = identifier(issue.get("id"))
    if external_id is None:
        raise ValueError("the issue has no id")
    about = mapping(issue.get("metadata"))
    kind, value = text(about.get("type")), text(about.get("value"))
    title = text(issue.get("title")) or text(about.get("title")) or _named(kind, value)
    if title is None:
        raise ValueError("the issue has no title")
    place, culprit = _place(about), text(issue.get("culprit"))
    said = (text(about.get("message")) or value) if _is_feedback([issue]) else None
    if said:
        title, kind, culprit = _without_prompt(title), None, None
    return Upsert(
        source="sentry",
        external_id=external_id,
        title=title,
        body=said or _body([_named(kind, value), f"at {place}" if place else f"in {culprit}" if culprit else None]),
        created_at=moment(issue.get("firstSeen")),
        url=web_address(issue.get("permalink")) or web_address(issue.get("web_url")),
        metadata={
            **_about_issue(issue),
            "substatus": text(issue.get("substatus")),  # None counts too: a resolved issue has none
            **known(
                state=text(issue.get("status")) or _STATES.get(action or ""),
                level=text(issue.get("level")),
                platform=text(issue.get("platform")),
                culprit=culprit,
                exception=kind,
            ),
        },
        volatile=known(count=whole(issue.get("count")), users=whole(issue.get("userCount"))),
        version=moment(headers.get("sentry-hook-timestamp")) or moment(issue.get("lastSeen")),
        words="own" if said else "summary",
    )


def _of_event(layers: Sequence[Mapping[str, Any]], issue: Mapping[str, Any], payload: Mapping[str, Any]) -> Upsert:
    values = _exception_values(layers)
    raised = chains(values)
    names = [name for chain in raised if (name := _name(chain[0]))]
    message = _message(layers)
    occurrence = mapping(_first(layers, "occurrence"))
    is_feedback = _is_feedback([*layers, issue])
    said = text(at(_first(layers, "contexts"), "feedback", "message")) or message if is_feedback else None
    title = (
        (_joined(names) if are_group(values) else None)
        or _text(layers, "title")
        or text(occurrence.get("issueTitle"))
        or text(at(_first(layers, "metadata"), "title"))
        or message
        or _joined(names)
        or text(issue.get("title"))
    )
    if title is None:
        raise ValueError("the event has no title, message or exception")
    traces = _traces(layers, raised)
    culprit = _text(layers, "culprit") or _text(layers, "transaction") or text(occurrence.get("culprit"))
    address = _address(layers)
    external_id = identifier(issue.get("id")) or _issue_id(layers, payload)
    fingerprint = None if external_id else _fingerprint(layers, raised, traces, message or title, culprit)
    happened = moment(_first(layers, "datetime")) or moment(_first(layers, "timestamp"))
    described = [
        *_described(raised, traces),
        message if message != title else None,
        text(occurrence.get("subtitle")),
        *_evidence(occurrence),
        f"in {culprit}" if culprit and not any(traces) else None,
        *(f"at {_place(frame)}" for frame in (traces[0] if len(traces) == 1 else [])),
    ]
    return Upsert(
        source="sentry",
        external_id=external_id or f"fingerprint:{fingerprint}",
        title=_without_prompt(title) if said else one_line(title, _LINE_CHARS),
        body=said or _body(described),
        created_at=happened,
        url=address,
        metadata={
            **_about_issue(issue),
            **known(
                level=_text(layers, "level") or _tag(layers, "level"),
                platform=_text(layers, "platform"),
                culprit=None if said else culprit,
                exception=text(raised[0][0].get("type")) if raised else None,
                project=_text(layers, "project_slug"),
            ),
        },
        volatile=known(
            release=_text(layers, "release") or _tag(layers, "release"),
            environment=_text(layers, "environment") or _tag(layers, "environment"),
        ),
        occurrence_id=_occurrence_id(layers, occurrence),
        version=happened,
        words="own" if said else "sample",
    )


def _is_feedback(layers: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a person wrote it: Sentry's User Feedback."""
    return (
        _first(layers, "issueCategory") == "feedback"
        or _first(layers, "issueType") == "feedback"
        or at(_first(layers, "occurrence"), "type") == _FEEDBACK
        or bool(mapping(at(_first(layers, "contexts"), "feedback")))
    )


def _without_prompt(title: str) -> str | None:
    """Return the title of a report without what Sentry puts before each; None if there is nothing else."""
    return text(_TITLE_OF_FEEDBACK.sub("", title, count=1))


def _joined(names: Sequence[str]) -> str | None:
    """Return a title of what went wrong: the first exception, and how many there are beside it."""
    if not names:
        return None
    first = names[0].partition("\n")[0]
    return first if len(names) == 1 else f"{first} (and {len(names) - 1} more)"


def _described(raised: Sequence[Sequence[Raised]], traces: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Yield a line for each exception; with several, also one for where each came from."""
    for number, chain in enumerate(raised):
        names = [name for one in chain if (name := _name(one))]
        yield from (f"caused by {name}" if place else name for place, name in enumerate(names))
        if len(raised) > 1:
            yield from (f"at {_place(frame)}" for frame in traces[number][:1])


def _of_alert(
    headers: Mapping[str, str], action: str | None, data: Mapping[str, Any], alert: Mapping[str, Any]
) -> Upsert:
    rule = mapping(alert.get("alert_rule"))
    incident = identifier(alert.get("id")) or identifier(alert.get("identifier"))
    of = identifier(rule.get("id")) or incident
    if of is None:
        raise ValueError("neither the alert nor its rule has an id")
    title = text(rule.get("name")) or text(_PROMPT.sub("", text(data.get("description_title")) or ""))
    title = title or text(alert.get("title"))
    if title is None:
        raise ValueError("the alert has no title")
    description = (text(data.get("description_text")) or "").replace("\\n", "\n")  # Sentry escapes the line ends
    began = moment(alert.get("date_started")) or moment(alert.get("date_created"))
    return Upsert(
        source="sentry",
        external_id=f"metric_alert:{of}",
        title=one_line(title, _LINE_CHARS),
        body=_body([description] if description else [text(rule.get("aggregate")), text(rule.get("query"))]),
        created_at=began,
        url=web_address(data.get("web_url")),
        metadata=known(
            state="resolved" if action == "resolved" else "unresolved",
            projects=sorted({name for one in items(alert.get("projects")) if (name := text(one))}) or None,
        ),
        volatile=known(
            severity=action if action in ("critical", "warning") else None,
            environment=text(rule.get("environment")),
        ),
        occurrence_id=incident,
        version=moment(headers.get("sentry-hook-timestamp")) or moment(alert.get("date_closed")) or began,
        words="sample",
    )


def _about_issue(issue: Mapping[str, Any]) -> dict[str, Any]:
    return known(
        short_id=text(issue.get("shortId")) or text(issue.get("short_id")),
        project=text(at(issue, "project", "slug")),
        category=text(issue.get("issueCategory")),
    )


def _first(layers: Sequence[Mapping[str, Any]], key: str) -> Any:
    """Return the first layer's value of a key that is not empty."""
    return next((layer[key] for layer in layers if layer.get(key)), None)


def _text(layers: Sequence[Mapping[str, Any]], key: str) -> str | None:
    return next((found for layer in layers if (found := text(layer.get(key)))), None)


def _tag(layers: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """Return a tag; tags are an object, or a list of pairs or of objects, and old ones begin with `sentry:`."""
    tags = _first(layers, "tags")
    pairs = list(tags.items()) if isinstance(tags, dict) else [_pair(tag) for tag in items(tags)]
    return next((found for name, value in pairs if name in (key, f"sentry:{key}") and (found := text(value))), None)


def _pair(tag: Any) -> tuple[Any, Any]:
    return (tag.get("key"), tag.get("value")) if isinstance(tag, dict) else (at(tag, 0), at(tag, 1))


def _named(kind: str | None, value: str | None) -> str | None:
    return f"{kind}: {value}" if kind and value else kind or value


def _name(one: Raised) -> str | None:
    return _named(text(one.get("type")), text(one.get("value")))


def _message(layers: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the logged message; `message` is a text or, from SDKs, an object like `logentry`."""
    for key in ("message", "logentry", "sentry.interfaces.Message"):
        for layer in layers:
            value = layer.get(key)
            if found := text(value) or text(at(value, "formatted")) or text(at(value, "message")):
                return found
    return None


def _exception_values(layers: Sequence[Mapping[str, Any]]) -> list[Any]:
    given = _first(layers, "exception") or _first(layers, "sentry.interfaces.Exception")
    return given if isinstance(given, list) else items(at(given, "values"))


def _traces(layers: Sequence[Mapping[str, Any]], raised: Sequence[Sequence[Raised]]) -> list[list[dict[str, Any]]]:
    """Return the frames that matter, of each chain of exceptions, or of the event if it has at most one."""
    if len(raised) > 1:
        return [_frames(at(one, "stacktrace", "frames") for one in chain) for chain in raised]
    crashed = [one for one in items(at(_first(layers, "threads"), "values")) if at(one, "crashed") is True]
    places = [
        *(at(one, "stacktrace", "frames") for one in [*(one for chain in raised for one in chain), *crashed]),
        *(at(_first(layers, key), "frames") for key in ("stacktrace", "sentry.interfaces.Stacktrace")),
    ]
    return [_frames(places)]


def _frames(places: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the frames of the first trace that has any: those of the application first, each newest first."""
    frames = next((usable for trace in places if (usable := [one for one in items(trace) if _place(one)])), [])
    newest_first = frames[::-1]
    ours = [frame for frame in newest_first if frame.get("in_app") is True]
    return [*ours, *(frame for frame in newest_first if frame.get("in_app") is not True)][:FRAMES]


def _place(frame: Any) -> str | None:
    """Return a frame's `file:line in function`, or as much of that as is known."""
    file = text(at(frame, "filename")) or text(at(frame, "module")) or text(at(frame, "package"))
    line = whole(at(frame, "lineno"))
    function = text(at(frame, "function"))
    where = f"{file}:{line}" if file and line else file
    place = f"{where} in {function}" if where and function else where or function
    return one_line(place, _LINE_CHARS) if place else None


def _evidence(occurrence: Mapping[str, Any]) -> list[str]:
    """Return the evidence of a cron, uptime or metric issue: what is marked important, else the first entries."""
    shown = [
        one for one in items(occurrence.get("evidenceDisplay")) if text(at(one, "name")) and text(at(one, "value"))
    ]
    shown = [one for one in shown if one.get("important") is True] or shown
    return [f"{one['name'].strip()}: {one['value'].strip()}" for one in shown[:_EVIDENCE]]


def _body(parts: Sequence[str | None]) -> str | None:
    """Return a text of a few lines of each part; long lines are cut, repeated lines dropped."""
    lines = [line for part in parts if part for line in [some for some in part.split("\n") if some.strip()][:_LINES]]
    return "\n".join(dict.fromkeys(one_line(line, _LINE_CHARS) for line in lines)) or None


def _address(layers: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the issue's page, which is a part of its events' addresses (`web_url`); the plug-in has it as `url`."""
    for layer in layers:
        for key in ("web_url", "url"):
            address = web_address(layer.get(key))
            if address and "/api/0/" not in address and _ISSUE_IN_ADDRESS.search(address.partition("?")[0]):
                return _EVENT_IN_ADDRESS.sub("/", address.partition("?")[0])
    return None


def _issue_id(layers: Sequence[Mapping[str, Any]], payload: Mapping[str, Any]) -> str | None:
    """Return the id of an event's issue; the plug-in has it as `id`, next to the event."""
    if own := identifier(_first(layers, "issue_id")) or identifier(_first(layers, "group_id")):
        return own
    plugin = "event" in payload or ("id" in payload and "event_id" not in payload and "project" in payload)
    if plugin and (own := identifier(payload.get("id"))):
        return own
    for layer in layers:
        for key in ("issue_url", "web_url", "url"):
            if found := _ISSUE_IN_ADDRESS.search(web_address(layer.get(key)) or ""):
                return found[1]
    return None


def _occurrence_id(layers: Sequence[Mapping[str, Any]], occurrence: Mapping[str, Any]) -> str | None:
    return identifier(_first(layers, "event_id")) or identifier(occurrence.get("id"))


def _fingerprint(
    layers: Sequence[Mapping[str, Any]],
    raised: Sequence[Sequence[Raised]],
    traces: Sequence[Sequence[Mapping[str, Any]]],
    message: str,
    culprit: str | None,
) -> str:
    """Return a hash that all events of one problem share; it ignores line numbers and values.

    Which members a group has identifies it, not how often it has them, or in which order.
    """
    kinds = [text(chain[0].get("type")) for chain in raised] or [None]
    places = [[text(frame.get("function")) or text(frame.get("filename")) for frame in frames] for frames in traces]
    known_by = [[kind, place] for kind, place in zip(kinds, places, strict=True) if kind and place]
    default: list[Any]
    if known_by:
        several = sorted(known_by, key=json.dumps)
        distinct = [one for number, one in enumerate(several) if one not in several[:number]]
        default = distinct[0] if len(distinct) == 1 else distinct
    else:
        template = text(at(_first(layers, "logentry"), "message")) or message
        default = [kinds[0], culprit, _VARYING.sub("#", template)]
    own = [identifier(part) for part in items(_first(layers, "fingerprint"))]
    parts = [default if _DEFAULT.fullmatch(part) else part for part in own if part] or [default]
    of = [identifier(_first(layers, "project")), parts]
    return hashlib.blake2b(json.dumps(of).encode(), digest_size=16).hexdigest()
