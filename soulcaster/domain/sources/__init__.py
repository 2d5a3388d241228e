"""Parsers of vendors' payloads: pure, one file a source.

Every file here that does not start with an underscore is a source of that name. It defines `HEADERS`, the headers it
reads, and `parse`, a `Parse`. Its fixtures are in tests/support/fixtures, in a folder of the same name;
tests/domain/sources/test_contract.py holds every source to the same contract.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from soulcaster.domain.sources._changes import Delete, Nothing, Parse, Source, SourceChange, Upsert

__all__ = ["SOURCES", "Delete", "Nothing", "Parse", "Source", "SourceChange", "Upsert"]


def _sources() -> dict[str, Source]:
    names = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    modules = {name: import_module(f"{__name__}.{name}") for name in sorted(names)}
    return {name: Source(name, module.HEADERS, module.parse) for name, module in modules.items()}


SOURCES: Mapping[str, Source] = MappingProxyType(_sources())
"""Every source by its name."""
