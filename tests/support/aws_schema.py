"""What AWS's provider for Terraform declares, without the provider: read from the bindings that CDK Terrain generates.

The provider itself comes from a registry that is not always reachable, and it is half a gigabyte. The package
`cdktn-provider-aws` on PyPI is generated from the provider's schema, and its JavaScript keeps all of it: names, types,
what is required, what is a block. This module reads that for the types that are asked for.
"""

import io
import re
import tarfile
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

VERSION = "25.8.1"
"""Version of the package."""
PROVIDER_VERSION = "6.69.1"
"""Version of the provider that it was generated from; terraform/versions.tf asks for the same."""

Schema = dict[str, Any]

_CLASS = re.compile(r"^class (\w+) extends [\w.]+ \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_ATTRIBUTE = re.compile(
    r"^    // (?P<name>\w+) - computed: (?P<computed>\w+), optional: (?P<optional>\w+), required: (?P<required>\w+)\n"
    r"(?P<body>.*?)(?=^    // |\Z)",
    re.MULTILINE | re.DOTALL,
)
_GETTER = re.compile(r"return (?P<set>cdktn\.Fn\.tolist\()?this\.get(?P<kind>\w+)Attribute\('")
_NESTED = re.compile(r"= new (\w+?)(OutputReference|List|Map|MapList)\(this, \"\w+\"(?:, (true|false))?\)")
_WRITTEN = re.compile(
    r"^ +(?P<name>\w+): \{\n +value: [^\n]*,\n +isBlock: (?P<block>true|false),\n +type: \"(?P<type>\w+)\",",
    re.MULTILINE,
)
_WRITE_ONLY = re.compile(r"(\w+): this\.markWriteOnlyAttribute\(")
_TYPES: Mapping[str, Any] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "string"],
}


def schemas(wheel: Path, wanted: Mapping[str, Collection[str]]) -> Schema:
    """Return the schemas of resources, data sources and ephemeral resources."""
    folders = {"resource": "", "data": "data-aws-", "ephemeral": "ephemeral-aws-"}
    files = {
        f"package/lib/{prefix}{type_.removeprefix('aws_').replace('_', '-')}/index.js": (kind, type_)
        for kind, prefix in folders.items()
        for type_ in wanted.get(kind, ())
    }
    found: Schema = {kind: {} for kind in folders}
    with zipfile.ZipFile(wheel) as archive:
        [inner] = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(archive.read(inner))) as package:
            for member in package:
                if member.name in files and (file := package.extractfile(member)):
                    kind, type_ = files[member.name]
                    found[kind][type_] = _Reader(file.read().decode()).block()
    missing = {(kind, type_) for kind, type_ in files.values() if type_ not in found[kind]}
    if missing:
        raise LookupError(f"the provider does not declare {sorted(missing)}")
    return found


class _Reader:
    """Reads one generated file, which holds one type with its blocks."""

    def __init__(self, code: str) -> None:
        self._classes = {match[1]: match[2] for match in _CLASS.finditer(code)}
        self._code = code

    def block(self) -> Schema:
        """Return the schema of the type."""
        [top] = [name for name, body in self._classes.items() if "static tfResourceType" in body]
        written = self._written(self._classes[top])
        return self._block(self._classes[top], written)

    def _block(self, body: str, written: Mapping[str, tuple[bool, str]]) -> Schema:
        attributes: Schema = {}
        blocks: Schema = {}
        write_only = set(_WRITE_ONLY.findall(body))
        for match in _ATTRIBUTE.finditer(body):
            name = match["name"]
            nested = _NESTED.search(match["body"])
            is_block, kind = written.get(name, (False, ""))
            if nested and is_block:
                blocks[name] = {
                    "nesting": {"struct": "single"}.get(kind, kind),
                    "most": 1 if nested[2] == "OutputReference" and kind in {"list", "set"} else 0,
                    "block": self._nested(nested[1]),
                }
            else:
                attributes[name] = {
                    "type": self._nested_type(nested) if nested else _plain_type(match["body"]),
                    "write_only": name in write_only,
                    **{key: match[key] == "true" for key in ("required", "optional", "computed")},
                }
        return {"attributes": attributes, "blocks": blocks}

    def _nested(self, name: str) -> Schema:
        function = f"{name[0].lower()}{name[1:]}ToHclTerraform"
        code = re.search(rf"^function {function}\(struct\) \{{\n(.*?)^\}}", self._code, re.MULTILINE | re.DOTALL)
        return self._block(self._classes[f"{name}OutputReference"], self._written(code[1]) if code else {})

    def _nested_type(self, nested: re.Match[str]) -> Any:
        """Return the type of an attribute that is made of objects."""
        block = self._nested(nested[1])
        members = {name: attribute["type"] for name, attribute in block["attributes"].items()}
        members |= {name: ["list", _object(inner["block"])] for name, inner in block["blocks"].items()}
        if nested[2] == "OutputReference":
            return ["object", members]
        return [("set" if nested[3] == "true" else "list") if "List" in nested[2] else "map", ["object", members]]

    @staticmethod
    def _written(code: str) -> dict[str, tuple[bool, str]]:
        return {match["name"]: (match["block"] == "true", match["type"]) for match in _WRITTEN.finditer(code)}


def _object(block: Schema) -> Any:
    members = {name: attribute["type"] for name, attribute in block["attributes"].items()}
    members |= {name: ["list", _object(inner["block"])] for name, inner in block["blocks"].items()}
    return ["object", members]


def _plain_type(body: str) -> Any:
    getter = _GETTER.search(body)
    if getter is None or getter["kind"] not in _TYPES:
        return "dynamic"
    type_ = _TYPES[getter["kind"]]
    return ["set", type_[1]] if getter["set"] else type_
