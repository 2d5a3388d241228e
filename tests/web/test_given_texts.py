"""Every text that a request, a form or a query carries is cleaned, or has a pattern that leaves nothing to clean."""

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from soulcaster.domain.text.given import Text
from tests.support.models import models_of_requests

INTAKE = "services/intake.py cleans it, as it cleans what comes by Kafka"
AN_ID = "an id: another text is another item"
OUTCOME = "domain/fixes/outcome.py cleans it (`cleaned`)"
_OF_ITEMS = ("title", "body", "github_repo_url", "metadata", "raw_text", "repo", "status")

REASONS = {
    **{f"ManualIn.{field}": INTAKE for field in ("text", "title", "github_repo_url")},
    **{f"FeedbackEditIn.{field}": INTAKE for field in _OF_ITEMS},
    **{f"FeedbackIn.{field}": INTAKE for field in (*_OF_ITEMS, "author", "url", "github_issue_url")},
    **{f"RedditIn.{field}": INTAKE for field in (*_OF_ITEMS, "author", "url", "github_issue_url")},
    **{f"FeedbackIn.{field}": AN_ID for field in ("id", "external_id", "occurrence_id")},
    **{f"RedditIn.{field}": AN_ID for field in ("id", "external_id", "occurrence_id")},
    "SourceReportIn.cursor": "only the poller that wrote it reads it",
    "JobLogIn.text": "domain/fixes/redaction.py cleans it, and finds secrets in it",
    **{f"FixOutcome.{field}": OUTCOME for field in ("files", "flags", "blocked_hosts", "repository", "commit")},
}
"""The fields without a type that cleans, and what cleans them instead."""


def _fields(model: Any) -> Mapping[str, Any]:
    """Return the type of each field, with its metadata."""
    if is_dataclass(model):
        return get_type_hints(model, include_extras=True)
    return {
        name: Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        for name, field in model.model_fields.items()
    }


def _bare(hint: Any, seen: set[Any], metadata: tuple[Any, ...] = ()) -> Iterator[str]:
    """Yield "" where a type takes any text, and "Model.field" for such fields of the models in it."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *more = get_args(hint)
        yield from _bare(inner, seen, (*metadata, *more))
    elif hint is str or hint is Any:
        if not any(map(_cleans, metadata)):
            yield ""
    elif origin in (Union, types.UnionType):
        for part in get_args(hint):
            yield from _bare(part, seen, metadata)
    elif origin is not None and origin is not Literal:
        for part in get_args(hint):
            yield from _bare(part, seen)
    elif inspect.isclass(hint) and (issubclass(hint, BaseModel) or is_dataclass(hint)) and hint not in seen:
        seen.add(hint)
        for name, of_field in _fields(hint).items():
            yield from (found or f"{hint.__name__}.{name}" for found in _bare(of_field, seen))


def _cleans(metadata: Any) -> bool:
    if isinstance(metadata, FieldInfo):
        return any(map(_cleans, metadata.metadata))
    return isinstance(metadata, Text) or getattr(metadata, "pattern", None) is not None


def test_no_text_comes_in_uncleaned() -> None:
    models = models_of_requests()
    assert len(models) > 40
    seen: set[Any] = set()
    found = {field for model in models for field in _bare(model, seen)}
    assert found == REASONS.keys()


@pytest.mark.parametrize(
    ("hint", "bare"),
    [(str, True), (Annotated[str, Text(3)] | None, False), (tuple[str, ...], True), (SecretStr, False)],
)
def test_a_bare_text_would_be_found(hint: Any, bare: bool) -> None:
    assert list(_bare(hint, set())) == [""] * bare
