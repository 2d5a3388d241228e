"""The models of what a request carries."""

import inspect
import types
from collections.abc import Iterator, Set

from pydantic import BaseModel

from soulcaster.web import pages
from soulcaster.web.api import OPERATIONS


def models_of_requests() -> Set[type[BaseModel]]:
    """Return the models of every query, body and form."""
    return set(_models())


def _models() -> Iterator[type[BaseModel]]:
    for operation in OPERATIONS:
        yield from (model for model in (operation.query, operation.body) if model is not None)
    for module in vars(pages).values():
        if isinstance(module, types.ModuleType):
            yield from (
                one
                for one in vars(module).values()
                if inspect.isclass(one) and issubclass(one, BaseModel) and one.__module__ == module.__name__
            )
