"""Terraform's files as data: what a module declares, and what its expressions refer to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[2] / "terraform"

Body = Mapping[str, Any]
Reference = tuple[str, ...]
"""The names of a reference, without indexes: `module.kafka[0].servers` is ("module", "kafka", "servers")."""

_NAME = re.compile(r"[A-Za-z_][\w-]*")
_HEREDOC = re.compile(r"<<-?(\w+)\n(.*?)\n\s*\1\b", re.DOTALL)
_LOOP = re.compile(r"\bfor\s+(\w+)(?:\s*,\s*(\w+))?\s+in\b")
_OWN_ARGUMENTS = {"ignore_changes"}
"""Arguments whose names are those of the block's own arguments, and no references."""
_WORDS = {"true", "false", "null", "for", "in", "if", "else", "endif", "endfor"}


@dataclass(frozen=True)
class Module:
    """One folder of Terraform's files."""

    folder: Path
    variables: Mapping[str, Body]
    outputs: Mapping[str, Body]
    locals: Body
    calls: Mapping[str, Body]
    declared: Mapping[Reference, Body]
    """Resources as (type, name), data sources as ("data", type, name), ephemeral ones likewise."""
    settings: Body

    @property
    def name(self) -> str:
        """The folder's name below terraform/."""
        return str(self.folder.relative_to(ROOT))

    def bodies(self) -> Iterator[tuple[str, Body]]:
        """Yield everything with expressions in it, with its name."""
        for name, body in self.variables.items():
            yield f"variable {name}", {key: value for key, value in body.items() if key != "type"}
        for kind, blocks in (("output", self.outputs), ("module", self.calls)):
            for name, body in blocks.items():
                yield f"{kind} {name}", body
        for name, value in self.locals.items():
            yield f"local {name}", {name: value}
        for reference, body in self.declared.items():
            yield ".".join(reference), body
        yield "settings", self.settings

    def references(self) -> set[Reference]:
        """Return everything that this module's expressions refer to."""
        return {reference for _, body in self.bodies() for reference in references(body)}


def folders() -> list[Path]:
    """Return the folders of all modules, the root first."""
    return [ROOT, *sorted(path for path in (ROOT / "modules").iterdir() if path.is_dir())]


@cache
def module(folder: Path) -> Module:
    """Read the module in a folder."""
    blocks: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("*.tf")):
        for kind, found in hcl2.loads(path.read_text()).items():
            blocks.setdefault(kind, []).extend(found)
    declared: dict[Reference, Body] = {}
    for kind, prefix in (("resource", ()), ("data", ("data",)), ("ephemeral", ("ephemeral",))):
        for block in blocks.get(kind, []):
            for type_, named in _labelled(block):
                for name, body in _labelled(named):
                    declared[(*prefix, type_, name)] = body
    return Module(
        folder,
        variables=dict(pair for block in blocks.get("variable", []) for pair in _labelled(block)),
        outputs=dict(pair for block in blocks.get("output", []) for pair in _labelled(block)),
        locals={name: value for block in blocks.get("locals", []) for name, value in _arguments(block)},
        calls=dict(pair for block in blocks.get("module", []) for pair in _labelled(block)),
        declared=declared,
        settings={"terraform": blocks.get("terraform", []), "provider": blocks.get("provider", [])},
    )


def _labelled(block: Body) -> Iterator[tuple[str, Body]]:
    for label, body in _arguments(block):
        yield label.strip('"'), body


def _arguments(block: Body) -> Iterator[tuple[str, Any]]:
    """Yield what stands in a block, without what the parser adds of its own."""
    for name, value in block.items():
        if not (name.startswith("__") and name.endswith("__")):
            yield name, value


def text(value: Any) -> str:
    """Return a literal string without its quotes."""
    return str(value).removeprefix('"').removesuffix('"')


def references(value: Any) -> Iterator[Reference]:
    """Yield what all expressions in a body refer to; loop variables and the like are left out."""
    if isinstance(value, Mapping):
        local = {label for block in value.get("dynamic", []) for label, _ in _labelled(block)}
        for name, inner in _arguments(value):
            if name in _OWN_ARGUMENTS:
                continue
            yield from (found for found in (*references(name), *references(inner)) if found[0] not in local)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
    elif isinstance(value, str) and value.startswith("${"):
        yield from _outside(value[2:-1])
    elif isinstance(value, str) and value.startswith('"'):
        yield from _template(value[1:-1])


def _outside(code: str) -> Iterator[Reference]:
    loops = {name for match in _LOOP.finditer(code) for name in match.groups() if name}
    yield from (found for found in _expression(code) if found[0] not in loops)


def _expression(code: str) -> Iterator[Reference]:
    at = 0
    while at < len(code):
        if code[at] == '"':
            end = _end_of_string(code, at)
            yield from _template(code[at + 1 : end])
            at = end + 1
        elif heredoc := _HEREDOC.match(code, at):
            yield from _template(heredoc[2])
            at = heredoc.end()
        elif name := _NAME.match(code, at):
            path, at, inside = _traversal(code, name)
            yield from (found for part in inside for found in _expression(part))
            called = code[at:].lstrip().startswith("(")
            key = re.match(r"\s*=(?![=>])", code[at:]) and len(path) == 1
            if not (called or key or path[0] in _WORDS) and (at == 0 or code[name.start() - 1] not in ".0123456789"):
                yield path
        else:
            at += 1


def _traversal(code: str, first: re.Match[str]) -> tuple[Reference, int, list[str]]:
    """Return the names of a reference, where it ends, and the expressions of its indexes."""
    path, at, inside = [first[0]], first.end(), []
    while at < len(code):
        if code[at] == "[":
            end = _closing(code, at, "[]")
            inside.append(code[at + 1 : end])
            at = end + 1
        elif name := _NAME.match(code, at + 1) if code[at] == "." else None:
            path.append(name[0])
            at = name.end()
        else:
            break
    return tuple(path), at, inside


def _template(text_: str) -> Iterator[Reference]:
    at = 0
    while at < len(text_):
        if text_[at : at + 3] in {"$${", "%%{"}:
            at += 3
        elif text_[at : at + 2] in {"${", "%{"}:
            end = _closing(text_, at + 1, "{}")
            yield from _outside(text_[at + 2 : end])
            at = end + 1
        else:
            at += 1


def _closing(code: str, at: int, pair: str) -> int:
    """Return where the bracket at `at` is closed."""
    depth = 0
    while at < len(code):
        if code[at] == '"':
            at = _end_of_string(code, at)
        elif code[at] == pair[0]:
            depth += 1
        elif code[at] == pair[1]:
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise ValueError(f"{pair[0]} is not closed in {code!r}")


def _end_of_string(code: str, at: int) -> int:
    """Return where the string that begins at `at` ends; expressions in it may have strings of their own."""
    at += 1
    while at < len(code):
        if code[at] == "\\":
            at += 1
        elif code[at : at + 2] == "${" and code[at - 1] != "$":
            at = _closing(code, at + 1, "{}")
        elif code[at] == '"':
            return at
        at += 1
    raise ValueError(f"a string is not closed in {code!r}")


# ---- the tables in the modules' README.md ----------------------------------------------------------------------------


def tables(of: Module) -> str:
    """Return a module's variables and outputs as Markdown."""
    lines = ["## Inputs", "", "| Name | Default | What it is |", "|---|---|---|"]
    for name, body in of.variables.items():
        default = f"`{_shown(body['default'])}`" if "default" in body else "required"
        lines.append(f"| `{name}` | {default} | {_cell(body['description'])} |")
    lines += ["", "## Outputs", "", "| Name | What it is |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(body['description'])} |" for name, body in of.outputs.items()]
    return "\n".join(lines) + "\n"


def _cell(value: str) -> str:
    return text(value).replace("|", "\\|").replace('\\"', '"')


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list):
        return f"[{', '.join(_shown(inner) for inner in value)}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value).removeprefix("${").removesuffix("}") if str(value).startswith("${") else str(value)


if __name__ == "__main__":
    for folder in folders():
        page = folder / "README.md"
        why, _, _ = page.read_text().partition("## Inputs")
        page.write_text(why + tables(module(folder)))
