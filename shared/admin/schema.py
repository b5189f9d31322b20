"""The configuration as a JSON Schema (2020-12), for editors that complete names and mark faults while one writes.

It is made from the models. A file that the daemons take is right by the schema; the other way round only
`config check` knows, as a schema cannot say that two networks overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from shared.admin.meanings import Meaning
from shared.config.model import Config
from shared.config.names import group_in
from shared.config.setting import Setting

_TEXT: JsonSchemaValue = {"type": "string"}


def _measure(name: str) -> JsonSchemaValue:
    """`name` is no format that a validator knows; it says what the number or text measures."""
    return {"type": ["number", "string"], "format": name}


#  What may be written differs from what it becomes: by the name of the parser.
_WRITTEN: dict[str, JsonSchemaValue] = {
    "parse_size": _measure("size"),
    "parse_quota": _measure("size"),
    "parse_duration": _measure("time-span"),
    "parse_percent": _measure("percent"),
    "parse_rate": _measure("rate"),
    "parse_tls_floor": _measure("tls-version"),
    "parse_network": _TEXT,
    "parse_port": {"type": "integer", "minimum": 1, "maximum": 65535},
}
_PLAIN = (
    "str",
    "int",
    "float",
    "bool",
    "enum",
    "list",
    "tuple",
    "nullable",
    "union",
    "model",
    "dict",
    "default",
    "definition-ref",
    "definitions",
    "model-fields",
)


class _Written(GenerateJsonSchema):
    """What may stand in the file, where pydantic would describe what is made of it."""

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        name = getattr(schema["function"]["function"], "__name__", "")
        if name in _WRITTEN:
            return dict(_WRITTEN[name])
        if name == "empty_is_default":
            return {"anyOf": [self.generate_inner(schema["schema"]), {"type": "null"}]}
        kind = _kind(schema["schema"])
        return self.generate_inner(schema["schema"]) if kind in _PLAIN else dict(_TEXT)

    def tuple_schema(self, schema: Any) -> JsonSchemaValue:
        """A list, however long."""
        return {"type": "array", "items": self.generate_inner(schema["items_schema"][0])}

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:
        """A value that is parsed from text, such as an address."""
        return dict(_TEXT)

    def function_after_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def _kind(schema: Any) -> str:
    while schema["type"].startswith("function-") and "schema" in schema:
        schema = schema["schema"]
    return str(schema["type"])


def schema(meanings: Mapping[str, Meaning]) -> dict[str, Any]:
    """`meanings` become the descriptions that an editor shows."""
    made = Config.model_json_schema(schema_generator=_Written, mode="validation")
    for definition in (made, *made["$defs"].values()):
        definition.pop("description", None)  #  what a docstring says is for who reads the code
    _describe(made, Config, "", meanings, made["$defs"])
    made["required"] = []  #  the host knows its own name
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "mercury.yaml"}


def _describe(
    target: dict[str, Any], model: type[Setting], prefix: str, meanings: Mapping[str, Meaning], definitions: Any
) -> None:
    for name, field in model.model_fields.items():
        key = prefix + name
        if (meaning := meanings.get(key)) is not None:
            default = f" Default: {meaning.default}." if meaning.default not in ("", "–") else ""
            target["properties"][name].setdefault("description", meaning.text + default)
        mark, inner = group_in(field.annotation)
        if inner is not None:
            _describe(definitions[inner.__name__], inner, f"{key}{mark}.", meanings, definitions)
