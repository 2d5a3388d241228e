"""What the payloads of other systems mean for feedback: pure, one file a source.

A file here that does not start with an underscore is a source and named as one. It has `HEADERS`, the names of the
headers it reads, and `parse`, which is a `Parse`. Its fixtures lie in tests/unit/sources/fixtures, in a folder of the
same name; tests/unit/sources/test_contract.py holds every source to the same contract.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from soulcaster.domain.sources._outcomes import Delete, Nothing, Outcome, Parse, Source, Upsert

__all__ = ["SOURCES", "Delete", "Nothing", "Outcome", "Parse", "Source", "Upsert"]


def _sources() -> dict[str, Source]:
    names = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    modules = {name: import_module(f"{__name__}.{name}") for name in sorted(names)}
    return {name: Source(name, module.HEADERS, module.parse) for name, module in modules.items()}


SOURCES: Mapping[str, Source] = MappingProxyType(_sources())
"""Every source by its name."""
