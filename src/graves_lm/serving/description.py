"""What the HTTP interface can do, as OpenAPI and as a page for people."""

from html import escape
from typing import Any

import msgspec

from graves_lm.serving.asked import Asked

_ERRORS = {
    "400": "the request says something that cannot be written",
    "401": "the token is missing or another",
    "413": "the request is too long",
    "415": "the request is no JSON",
    "503": "as many requests wait as may",
    "504": "not done in time",
}


def description(longest: int, token: bool) -> dict[str, Any]:
    """The OpenAPI document, in version 3.1."""
    (_, parts) = msgspec.json.schema_components([Asked], ref_template="#/components/schemas/{name}")
    parts["Asked"]["properties"]["text"]["maxLength"] = longest
    parts["Error"] = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    failed = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    errors = {code: {"description": said, "content": failed} for code, said in _ERRORS.items()}
    body = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}},
    }

    def post(summary: str, kinds: dict[str, Any]) -> dict[str, Any]:
        answers = {"200": {"description": "the handwriting", "content": kinds}, **errors}
        return {"post": {"summary": summary, "requestBody": body, "responses": answers}}

    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "graves_lm", "version": "1", "description": "A text in, handwriting out."},
        "paths": {
            "/write": post(
                "A page as SVG, or the points of its lines", {"image/svg+xml": {}, "application/json": {}}
            ),
            "/stream": post(
                "The points as they are drawn: events lines, points, end", {"text/event-stream": {}}
            ),
            "/health": {
                "get": {"summary": "How many requests wait", "responses": {"200": {"description": "OK"}}}
            },
        },
        "components": {"schemas": parts},
    }
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def page(document: dict[str, Any]) -> str:
    """The same for people, without anything from elsewhere."""
    paths = "".join(
        f"<h2>{verb.upper()} {escape(path)}</h2><p>{escape(what['summary'])}</p>"
        for path, verbs in document["paths"].items()
        for verb, what in verbs.items()
    )
    fields = "".join(
        f"<h3>{escape(name)}</h3><ul>"
        + "".join(
            f"<li><code>{escape(key)}</code> {escape(_said(kind))}</li>"
            for key, kind in part["properties"].items()
        )
        + "</ul>"
        for name, part in document["components"]["schemas"].items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>graves_lm</title>'
        "<style>body{font:16px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}</style>"
        f"<h1>A text in, handwriting out</h1>{paths}<h2>What is sent</h2>{fields}"
        '<p><a href="openapi.json">OpenAPI</a></p></html>'
    )


def _said(kind: dict[str, Any]) -> str:
    """A field's description, or its type and default."""
    several = kind.get("anyOf", [kind])
    said = next((k["description"] for k in (kind, *several) if "description" in k), "")
    default = f" (default: {kind['default']!r})" if "default" in kind else ""
    return f"{said}{default}"
