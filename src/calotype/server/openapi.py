"""The wire, in the words of OpenAPI, and a page that reads them aloud without fetching anything."""

from __future__ import annotations

from html import escape
from typing import Any

from calotype.remote.heads import FLOATS, MAX_ELEMENTS, RANKS, TENSOR
from calotype.remote.wire import PICTURES

TENSOR_BODY = {TENSOR: {"schema": {"type": "string", "format": "binary"}}}
FACTOR = {"type": "number", "minimum": -999_999, "maximum": 999_999}
FLAG = {"type": "string", "enum": ["True", "False", "true", "false"]}
SIDE = {"type": "integer", "minimum": 1, "maximum": 1 << 14}
SHAPE = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": MAX_ELEMENTS},
    "minItems": RANKS[0],
    "maxItems": RANKS[-1],
}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code", "request"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
                "request": {"type": "string"},
            },
        }
    },
}
REFUSALS = {
    401: "The key is missing or another.",
    403: "Not meant for this machine.",
    404: "Nothing is here.",
    405: "Another method is meant.",
    408: "The body came too slowly.",
    413: "More than the limits.",
    415: "A body of another type.",
    422: "A field that is wrong; param names it.",
    429: "No room now; Retry-After says when.",
    500: "A fault of the server, in its log under the request's number.",
    503: "Loading, or about to end.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What else a route may answer."""
    content = {"application/json": {"schema": ERROR}}
    return {status: {"description": REFUSALS[status], "content": content} for status in statuses}


EVERY = refusals(*REFUSALS)


def _parameter(name: str, schema: dict[str, Any], told: str, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": told, "schema": schema}


def _tensor(required: bool) -> list[dict[str, Any]]:
    return [
        _parameter("shape", SHAPE, "The tensor's, a side at a time.", required),
        _parameter("dtype", {"type": "string", "enum": [*FLOATS]}, "Its numbers, little-endian.", required),
    ]


FACTORS = [
    _parameter("scaling_factor", FACTOR, "Latents are divided by it; of encoded ones, multiplied with it."),
    _parameter("shift_factor", FACTOR, "Then added; of encoded ones, taken away first."),
]
DECODE = {
    "parameters": [
        *_tensor(True),
        _parameter(
            "output_type",
            {"type": "string", "enum": ["pil", "pt", "mp4"]},
            "A picture; a tensor; a film.",
        ),
        _parameter("image_format", {"type": "string", "enum": [*PICTURES]}, "Of the file."),
        _parameter("partial_postprocess", FLAG, "With pt: bytes, channels last, in place of numbers in [-1, 1]."),
        *FACTORS,
        _parameter("do_scaling", FLAG, "Without a factor: by the VAE's own."),
        _parameter("height", SIDE, "The picture's, for packed latents."),
        _parameter("width", SIDE, "The picture's, for packed latents."),
        _parameter("fps", {"type": "number", "minimum": 1, "maximum": 120}, "Frames per second of a film; else 24."),
    ],
    "requestBody": {"required": True, "content": TENSOR_BODY},
}
ENCODE = {
    "parameters": [*_tensor(False), *FACTORS],
    "requestBody": {
        "required": True,
        "content": {**TENSOR_BODY, PICTURES["png"]: {"schema": {"type": "string", "format": "binary"}}},
    },
}
TENSOR_ANSWER = {
    "description": "A tensor's bytes.",
    "headers": {
        "shape": {"description": "A JSON list.", "schema": {"type": "string"}},
        "dtype": {"description": "Its numbers, little-endian.", "schema": {"type": "string"}},
    },
    "content": TENSOR_BODY,
}
PICTURE_ANSWER = {
    **TENSOR_ANSWER,
    "description": "A picture, a film, or a tensor's bytes.",
    "content": {
        **TENSOR_BODY,
        **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in (*PICTURES.values(), "video/mp4")},
    },
}


def page(schema: dict[str, Any]) -> str:
    """All operations in plain HTML."""
    rows = [
        f"<h2>{escape(method.upper())} {escape(path)}</h2><p>{escape(told['summary'])}</p><ul>{_items(told)}</ul>"
        for path, methods in schema["paths"].items()
        for method, told in methods.items()
    ]
    title = f"{escape(schema['info']['title'])} {escape(schema['info']['version'])}"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    return f'{head}<h1>{title}</h1><p>As JSON: <a href="/openapi.json">openapi.json</a></p>{"".join(rows)}</html>'


def _items(told: dict[str, Any]) -> str:
    lines = [(each["name"], each["description"]) for each in told.get("parameters", [])]
    lines += [(status, answer["description"]) for status, answer in told["responses"].items()]
    return "".join(f"<li><b>{escape(str(name))}</b> {escape(words)}</li>" for name, words in lines)
