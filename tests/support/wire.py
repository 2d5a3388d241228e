"""The models of soulcaster/wire by their names, as docs and topics name them."""

import importlib
import pkgutil
from typing import Any

from soulcaster import wire


def model(name: str) -> Any:
    """Return the one model of this name.

    Raises:
        LookupError: no module of soulcaster/wire defines it.
    """
    for module in pkgutil.iter_modules(wire.__path__, "soulcaster.wire."):
        found = getattr(importlib.import_module(module.name), name, None)
        if isinstance(found, type) and found.__module__ == module.name:
            return found
    raise LookupError(name)
