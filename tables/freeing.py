"""Frees large states a little at a time.

Python frees a large object, with all that it alone refers to, in one go, and nothing else of the process runs
meanwhile: for a tenth of a second, if it is a project with 50,000 micro-clusters. Who holds the parts, and drops one
after the other, lets others run in between.
"""

import gc
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

_NO_PARTS = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""Code is no part of a state, and leads to everything else."""


def free(states: list[Any]) -> None:
    """Empty a list of states, in a thread of its own; what others hold as well is not freed."""
    parts = states
    known = set(map(id, parts))
    for part in parts:  # it grows: what a part refers to comes behind it
        for inner in gc.get_referents(part):
            if gc.is_tracked(inner) and id(inner) not in known and not isinstance(inner, _NO_PARTS):
                known.add(id(inner))
                parts.append(inner)
    part = inner = None
    parts.reverse()
    while parts:
        parts.pop()
