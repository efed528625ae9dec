"""Bodies that a JSON Schema allows, drawn at random."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]

MAX_FIELDS = 5
MAX_ITEMS = 3
UNBOUNDED = 2**40


def values(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[Any]:
    """Values of a schema as pydantic writes them; lists and objects are small where they may be."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return st.deferred(lambda: values(definitions[name], definitions))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return st.one_of([values(branch, definitions) for branch in schema[union]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return _integers(schema)
        case "number":
            return _numbers(schema)
        case "string":
            return _strings(schema)
        case "array":
            return _lists(schema, definitions)
        case "object":
            return _objects(schema, definitions)
        case other:
            raise AssertionError(f"the generator knows no type {other!r}")


def _integers(schema: Schema) -> st.SearchStrategy[int]:
    low = int(schema.get("minimum", schema.get("exclusiveMinimum", -UNBOUNDED - 1) + 1))
    high = int(schema.get("maximum", schema.get("exclusiveMaximum", UNBOUNDED + 1) - 1))
    # OpenAPI documents have limits as floats, in which 2^63 - 1 is 2^63.
    high = min(high, 2**63 - 1)
    return st.integers(low, high) | st.sampled_from([low, high])


def _numbers(schema: Schema) -> st.SearchStrategy[float]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1e9))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 1e9))
    return st.floats(
        low,
        high,
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
        allow_nan=False,
    )


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        most: int = schema.get("maxLength", 1000)

        def is_meant(text: str) -> bool:  # $ also matches before a last line break, in Python alone
            return not text.endswith("\n") and len(text) <= most

        return st.from_regex(schema["pattern"], fullmatch=schema["pattern"].endswith("$")).filter(is_meant)
    low, high = schema.get("minLength", 0), schema.get("maxLength", 40)
    characters = st.characters(codec="utf-8")
    return st.text(characters, min_size=low, max_size=min(high, low + 8)) | st.just("a" * high)


def _lists(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in schema:
        return st.tuples(*(values(each, definitions) for each in schema["prefixItems"])).map(list)
    low = schema.get("minItems", 0)
    high = min(schema.get("maxItems", low + MAX_ITEMS), low + MAX_ITEMS)
    return st.lists(values(schema["items"], definitions), min_size=low, max_size=high)


def _objects(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[dict[str, Any]]:
    if "patternProperties" in schema:
        [(pattern, inner)] = schema["patternProperties"].items()
        names = st.from_regex(pattern, fullmatch=True).map(str.strip)  # $ allows a last line break
        return st.dictionaries(names, values(inner, definitions), max_size=MAX_ITEMS)
    fields: Mapping[str, Schema] = schema.get("properties", {})
    required = [name for name in fields if name in schema.get("required", ())]
    tags = [name for name, field in fields.items() if "const" in field and name not in required]
    others = sorted(fields.keys() - {*required, *tags})
    some = st.lists(st.sampled_from(others), unique=True, max_size=MAX_FIELDS) if others else st.just([])
    return some.flatmap(
        lambda names: st.fixed_dictionaries(
            {name: values(fields[name], definitions) for name in (*required, *tags, *names)}
        )
    )
