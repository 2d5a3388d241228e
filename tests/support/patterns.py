"""Every regular expression of the program, with the ways in which it is used."""

import ast
import importlib
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import agents
import soulcaster
import tables

Use = Literal["match", "fullmatch", "search"]

_USES: Mapping[str, Use] = {
    "match": "match",
    "fullmatch": "fullmatch",
    **dict.fromkeys(("search", "sub", "subn", "finditer", "findall", "split"), "search"),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A regular expression: where it is, and how it is used."""

    module: str
    name: str
    pattern: re.Pattern[Any]
    use: Use


def modules() -> Iterator[ModuleType]:
    """Yield every module of the program that uses `re`."""
    for package in (soulcaster, agents, tables):
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            if "import re\n" in file.read_text():
                place = file.relative_to(root.parent).with_suffix("")
                yield importlib.import_module(".".join(place.parts))


def expressions() -> list[Expression]:
    """Return the expressions of all modules; one that several ways are used is there once for each.

    Raises:
        LookupError: nobody uses one, as far as can be seen.
    """
    sources = {module: ast.parse(inspect.getsource(module)) for module in modules()}
    uses = {module: _uses(tree) for module, tree in sources.items()}
    everywhere = _union(uses.values())
    found = []
    for module, tree in sources.items():
        for name, key, pattern in _patterns(module):
            own = uses[module].get(key) or (everywhere.get(key) if not key.startswith("_") else None)
            ways = own or _of_variables(uses[module], module)
            if not ways:
                raise LookupError(f"{name} is not used")
            found += [Expression(module.__name__, name, pattern, way) for way in sorted(ways)]
        found += _inline(module, tree)
    return list({(one.pattern, one.use): one for one in reversed(found)}.values())[::-1]


def _uses(tree: ast.Module) -> dict[str, set[Use]]:
    """Return the uses by the last name before the method: of a variable, or of an attribute."""
    found: dict[str, set[Use]] = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _USES:
            owner = node.value
            if isinstance(owner, ast.Name):
                if node.attr != "split" or owner.id.startswith("_"):  # texts are split, too
                    found[owner.id].add(_USES[node.attr])
            elif isinstance(owner, ast.Attribute):
                found[owner.attr].add(_USES[node.attr])
            elif isinstance(owner, ast.Subscript) and isinstance(owner.value, ast.Name):
                found[owner.value.id].add(_USES[node.attr])
    return found


def _union(all_uses: Any) -> dict[str, set[Use]]:
    union: dict[str, set[Use]] = defaultdict(set)
    for uses in all_uses:
        for name, ways in uses.items():
            union[name] |= ways
    return union


def _of_variables(uses: Mapping[str, set[Use]], module: ModuleType) -> set[Use]:
    """Return the uses of variables of functions: an expression in a tuple is used through one of them."""
    return {way for name, ways in uses.items() if name not in vars(module) for way in ways}


def _patterns(module: ModuleType) -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    """Yield (name, last part of the name, expression) of those that a module makes."""
    imported = {id(value) for other in _imported(module) for value in vars(other).values()}
    for name, value in vars(module).items():
        if id(value) not in imported:
            yield from _within(f"{module.__name__}.{name}", name, value)


def _imported(module: ModuleType) -> Iterator[ModuleType]:
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in _ROOTS:
            yield importlib.import_module(node.module)


_ROOTS = ("soulcaster", "agents", "tables")


def _within(name: str, key: str, value: Any) -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield name, key, value
    elif isinstance(value, (tuple, list, set, frozenset)):
        for part in value:
            yield from _within(name, key, part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _within(name, key, part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _within(f"{name}.{field.name}", field.name, getattr(value, field.name))


def _inline(module: ModuleType, tree: ast.Module) -> Iterator[Expression]:
    """Yield the expressions that are given to a function of `re`: in place, or by a name of the module."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _USES):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
            continue
        given = node.args[0]
        text = (
            given.value
            if isinstance(given, ast.Constant)
            else vars(module).get(given.id)
            if isinstance(given, ast.Name)
            else None
        )
        if isinstance(text, (str, bytes)):
            yield Expression(module.__name__, f"{module.__name__}:{text!r}", re.compile(text), _USES[node.func.attr])
