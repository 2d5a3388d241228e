"""The document that the API describes itself by, made once: it takes longer than most tests."""

from functools import cache
from typing import Any

import schemathesis
from hypothesis.strategies import SearchStrategy
from schemathesis import Case

from soulcaster.web.api import OPERATIONS
from soulcaster.web.api.openapi import document
from soulcaster.web.api.operation import Operation


@cache
def api_document() -> dict[str, Any]:
    """Return the document of all operations."""
    return document(OPERATIONS)


@cache
def _schema() -> Any:
    return schemathesis.openapi.from_dict(api_document())


def calls_of(op: Operation) -> SearchStrategy[Case[Any]]:
    """Return made-up calls of an operation, as the document describes them."""
    strategy: SearchStrategy[Case[Any]] = _schema()[op.path][op.method].as_strategy()
    return strategy
