"""The field types that messages share: each limits the values a field may have."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from soulcaster.domain.api_keys import MAX_NAME, SCOPES, KeyScope
from soulcaster.domain.entries import Entries
from soulcaster.domain.source_state import MAX_CURSOR_BYTES, MAX_ERROR
from soulcaster.domain.text.given import OneLine
from soulcaster.domain.text.normalize import SEEN
from soulcaster.domain.times import is_number, read_number

RESERVED = frozenset({"all", "cluster", "created", "external", "items", "jobs", "source", "sources", "unclustered"})
"""Words that other keys of the read model have in the place of a project's id."""


def _not_reserved(project_id: str) -> str:
    if project_id in RESERVED:
        raise ValueError(f"{project_id!r} is a word of Soulcaster's own; choose another id")
    return project_id


ProjectId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"),
    AfterValidator(_not_reserved),
    Field(json_schema_extra={"not": {"enum": sorted(RESERVED)}}),
]
"""A UUID, a CUID or any other short word of letters, digits, hyphens and underscores that is not reserved."""

SOURCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"

Source = Annotated[str, StringConstraints(pattern=SOURCE_PATTERN, to_lower=True)]
"""Where an item is from, in lower case; the pattern is checked before the value is lowered."""

OTHER_SOURCE = "generic"
"""The source of an item whose given source is not a valid `Source`; services/intake.py keeps the given one."""


def _given_source(value: str) -> str:
    """Return a source in lower case where it is a `Source`."""
    return value.lower() if re.fullmatch(SOURCE_PATTERN, value) else value


GivenSource = Annotated[str, OneLine(100), AfterValidator(_given_source)]
"""Where a producer says an item is from: a `Source`, or any other words."""

MAX_EXTERNAL_ID = 512
"""Characters of an item's id at its source."""

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_EXTERNAL_ID)]


_DAY_DIGITS = len("20261120")


def _aware(value: Any) -> Any:
    """Read a number by our own rules and a time without a zone as UTC; leave everything else to pydantic."""
    if is_number(value):
        if len(str(value).strip()) == _DAY_DIGITS:
            raise ValueError("a day alone is no time")
        return read_number(value)
    if isinstance(value, str):
        value = value.strip()
        if "T" in value or " " in value:
            time = value[11:]
            return value if time.endswith(("Z", "z")) or "+" in time or "-" in time else value + "Z"
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.astimezone()
    return value


def _in_utc(value: datetime) -> datetime:
    """Return a time in UTC; refuse one that is before the year 1 or after 9999 there, which Python can only read."""
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range in UTC") from error


Time = Annotated[AwareDatetime, BeforeValidator(_aware), AfterValidator(_in_utc)]

MAX_DEPTH = 64
"""Nesting levels of an item's metadata; JSON parsers give up at some depth, pydantic's at 200."""


def _storable(value: Any, depth: int = 0) -> Any:
    """Refuse a value that could not be read again from JSON: nested too deep, or a number beyond a float's range."""
    if isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise ValueError(f"lists and objects may be {MAX_DEPTH} deep in one another, no deeper")
        for part in value.values() if isinstance(value, dict) else value:
            _storable(part, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number in it is not finite, or larger than a float can be")
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]


def _short(cursor: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(cursor, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MAX_CURSOR_BYTES:
        raise ValueError(f"may have {MAX_CURSOR_BYTES:,} bytes as JSON")
    return cursor


MAX_ETAG = 256
"""Characters of an ETag that is kept."""

PollCursor = Annotated[dict[str, Any], AfterValidator(_storable), AfterValidator(_short)]
"""Where a poller continues; a small document that only the poller reads."""

MAX_PROJECT_NAME = MAX_PERSON_NAME = 200

NO_NAME = "(no name)"
"""What a name that was stored before names were cleaned is read as, if nothing in it can be read."""

KeyName = Annotated[str, OneLine(MAX_NAME)]
StoredKeyName = Annotated[str, OneLine(MAX_NAME, blank=NO_NAME)]

KeyScopes = Annotated[tuple[KeyScope, ...], Entries(len(SCOPES), least=1)]

UserId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

ProjectName = Annotated[str, OneLine(MAX_PROJECT_NAME)]
StoredProjectName = Annotated[str, OneLine(MAX_PROJECT_NAME, blank=NO_NAME)]

PersonName = Annotated[str, OneLine(MAX_PERSON_NAME)]
StoredPersonName = Annotated[str, OneLine(MAX_PERSON_NAME, blank=NO_NAME)]

StoredEmail = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[^@\s<>:,;]{1,64}@[^@\s<>:,;]{1,189}$"),
]
_IN_ADDRESS = SEEN.replace("[^", "[^@<>:,;")

Email = Annotated[StoredEmail, StringConstraints(pattern=f"^{_IN_ADDRESS}{{1,64}}@{_IN_ADDRESS}{{1,189}}$")]
"""An e-mail address in lower case; only sending to it would show whether it exists."""

StoredGitHubLogin = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{1,64}$")]
GitHubLogin = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$", max_length=64)]
"""A login as GitHub gives them today; those who sign in may have an older form."""

SourceError = Annotated[str, OneLine(MAX_ERROR, blank="(an error without words)")]
"""Why a source cannot be read, in the words of a poller or of a vendor."""
