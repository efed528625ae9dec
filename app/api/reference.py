"""GET /docs: the OpenAPI document as one HTML page that needs nothing from the network."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1b1b1f; background: #fff; }
h2 { margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1rem; }
code { font: 14px ui-monospace, monospace; }
.method { color: #0a6; font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #eee; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6ea; background: #16161a; } h2, th, td { border-color: #333; } a { color: #8bf; }
}
"""

Schema = Mapping[str, Any]


def render(document: Schema) -> str:
    """The page. `document` is an OpenAPI 3.1 document as FastAPI makes it."""
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    routes = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    contents = "".join(
        f'<li><a href="#{_anchor(method, path)}"><code>{method.upper()} {escape(path)}</code></a></li>'
        for path, method, _ in routes
    )
    sections = "".join(_route(path, method, operation, document) for path, method, operation in routes)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><p>{escape(info.get('summary', ''))}</p>"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"<ul>{contents}</ul>{sections}</body></html>"
    )


def _route(path: str, method: str, operation: Schema, document: Schema) -> str:
    text = "".join(f"<p>{escape(part)}</p>" for part in operation.get("description", "").split("\n\n"))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answers = "".join(
        f"<tr><td>{status}</td><td>{escape(response['description'])}</td><td>{_content(response)}</td></tr>"
        for status, response in operation["responses"].items()
    )
    return (
        f'<h2 id="{_anchor(method, path)}"><code><span class="method">{method.upper()}</span> '
        f"{escape(path)}</code></h2>{text}{_fields(body, document) if body else ''}"
        f"<h3>Answers</h3><table>{answers}</table>"
    )


def _fields(schema: Schema, document: Schema) -> str:
    model = _resolve(schema, document)
    required = set(model.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(field))}</td>"
        f"<td>{'required' if name in required else escape(_default(field))}</td>"
        f"<td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in model.get("properties", {}).items()
    )
    return f"<h3>Fields</h3><table><tr><th>name</th><th>type</th><th>default</th><th></th></tr>{rows}</table>"


def _type(field: Schema) -> str:
    names = dict.fromkeys(_type_names(field))
    names.pop("null", None)  # null always stands for the default
    return " or ".join(names)


def _type_names(field: Schema) -> Iterator[str]:
    if "$ref" in field:
        yield str(field["$ref"]).rsplit("/", 1)[-1]
    for branch in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from _type_names(branch)
    if "const" in field:
        yield repr(field["const"])
    elif field.get("type") == "array":
        yield f"list of {_type(field.get('items', {}))}"
    elif "type" in field:
        yield str(field["type"])


def _default(field: Schema) -> str:
    default = field.get("default")
    return "" if default is None else repr(default)


def _content(response: Schema) -> str:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return escape(_type(schema))


def _resolve(schema: Schema, document: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    resolved: Schema = document["components"]["schemas"][str(reference).rsplit("/", 1)[-1]]
    return resolved


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}{path}".replace("/", "-").strip("{}"), quote=True)
