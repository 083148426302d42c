"""Whatever is sent, the answer is right, or names the field that is not."""

from __future__ import annotations

import json
import math

import pytest
import schemathesis
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from calotype.server.limits import Limits
from tests import tiny_helios
from tests.server.asking import TENSOR, ask, get, read
from tests.server.serving import server, shelf
from tests.tiny import tiny_vae

BOUNDED = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": [*HealthCheck]}
FIELDS = {
    "shape", "dtype", "output_type", "image_format", "partial_postprocess", "scaling_factor", "shift_factor",
    "do_scaling", "height", "width", "fps", "body", "query", "header 'content-type'",
}  # fmt: skip


@pytest.fixture(scope="module")
def running():
    limits = Limits(max_side=64, max_pixels=1 << 13, max_frames=12, max_film_pixels=1 << 14)
    with server(books=shelf(limits, ("sd", "wan"))) as running:
        running.until_ready()
        yield running


odd = some.sampled_from(
    ["", "-1", "0", "4.0", "1e9", "NaN", "[1]", "0x4", " 4", "٤", str(2**31), str(2**63), str(2**64)]
)
sides = some.one_of(some.sampled_from(["1", "2", "4", "8", "16"]), some.integers(1, 40).map(str), odd)
numbers = some.one_of(some.floats(-1e7, 1e7).map(str), odd, some.just("1e309"), some.just("inf"))
queries = some.lists(
    some.one_of(
        some.tuples(some.just("shape"), sides),
        some.tuples(some.just("dtype"), some.sampled_from(["float32", "float16", "bfloat16", "uint8", "float64", ""])),
        some.tuples(some.just("output_type"), some.sampled_from(["pt", "pil", "mp4", "x"])),
        some.tuples(
            some.sampled_from(["partial_postprocess", "do_scaling"]), some.sampled_from(["True", "False", "1"])
        ),
        some.tuples(some.sampled_from(["scaling_factor", "shift_factor"]), numbers),
        some.tuples(some.sampled_from(["height", "width"]), sides),
        some.tuples(some.text(max_size=5), some.text(max_size=5)),
    ),
    max_size=12,
)


@settings(max_examples=150, **BOUNDED)
@given(query=queries, body=some.binary(max_size=600))
def test_any_query(running, query, body):
    said = ask(running.address, "/vaes/sd/decode", query, body)
    assert said.status in (200, 413, 422), said.body
    if said.status != 200:
        assert said.error["param"] in FIELDS | {name[:40] for name, _ in query}


sensible = some.tuples(
    some.integers(1, 2), some.sampled_from([4, 4, 4, 3]), some.sampled_from([2, 4, 40]), some.sampled_from([2, 3, 4])
)
values = some.sampled_from([0.0, 0.5, -1.0, 1e4, 3e38, math.nan, math.inf])


@settings(max_examples=100, **BOUNDED)
@given(
    shape=sensible,
    dtype=some.sampled_from(["float32", "float16", "bfloat16"]),
    value=values,
    more=some.sampled_from([0, 0, 0, 0, 1, -1, 2]),
    partial=some.booleans(),
)
def test_near_misses(running, shape, dtype, value, more, partial):
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(getattr(torch, dtype))
    latents.view(-1)[0] = value
    body = latents.view(torch.uint8).numpy().tobytes()
    body = body[:more] if more < 0 else body + bytes(more)
    query = [
        *(("shape", side) for side in shape),
        ("dtype", dtype),
        ("output_type", "pt"),
        ("partial_postprocess", partial),
    ]
    said = ask(running.address, "/vaes/sd/decode", query, body)
    if shape[1] != 4 or shape[2] == 40:
        assert said.error["param"] == "shape"
    elif more or not latents.isfinite().all():
        assert said.error["param"] == "body"
    elif said.status == 422:
        assert said.error["param"] == "body" and not wanted(latents).isfinite().all()
    else:
        pixels = wanted(latents)
        if partial:
            pixels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
        torch.testing.assert_close(read(said).float(), pixels, atol=1.0 if partial else 1e-4, rtol=1e-4)


def wanted(latents):
    with torch.no_grad():
        return tiny_vae().decode(latents.float()).sample


@settings(max_examples=60, **BOUNDED)
@given(query=queries, body=some.binary(max_size=300), png=some.booleans())
def test_anything_to_encode(running, query, body, png):
    query = [pair for pair in query if pair[0] not in ("shape", "dtype")] if png else query
    said = ask(
        running.address, "/vaes/sd/encode", query, b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + body, {} if png else TENSOR
    )
    assert said.status in (413, 422), said.body
    assert said.error["param"] in FIELDS | {name[:40] for name, _ in query}


films = some.tuples(
    some.integers(1, 2),
    some.sampled_from([4, 4, 4, 3]),
    some.integers(1, 4),
    some.sampled_from([1, 2, 9]),
    some.just(2),
)


@settings(max_examples=60, **BOUNDED)
@given(
    shape=films,
    value=values,
    more=some.sampled_from([0, 0, 0, -1, 3]),
    kind=some.sampled_from(["pt", "pil", "mp4"]),
    partial=some.booleans(),
    fps=some.sampled_from(["", "24", "0", "x", "1e9"]),
)
def test_near_misses_of_films(running, shape, value, more, kind, partial, fps):
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    latents.view(-1)[0] = value
    body = latents.view(torch.uint8).numpy().tobytes()
    body = body[:more] if more < 0 else body + bytes(more)
    query = [*(("shape", side) for side in shape), ("dtype", "float32"), ("output_type", kind)]
    said = ask(
        running.address, "/vaes/wan/decode", [*query, ("partial_postprocess", partial), ("fps", fps)], body, TENSOR
    )
    frames, whole = 1 + 4 * (shape[2] - 1), kind == "pt" and not partial
    if fps in ("0", "x", "1e9"):
        assert said.error["param"] == "fps"
    elif shape[1] != 4 or shape[3] == 9 or shape[0] * frames > 12 or (shape[0] > 1 and not whole):
        assert said.error["param"] == "shape"
    elif more or not latents.isfinite().all():
        assert said.error["param"] == "body"
    elif said.status == 422:
        assert said.error["param"] == "body" and not filmed(latents).isfinite().all()
    elif kind == "mp4":
        assert said.body[4:8] == b"ftyp"
    else:
        video = filmed(latents)
        unit = (video[0] / 2 + 0.5).clamp(0, 1).transpose(0, 1)
        last = (unit * 255).round().permute(0, 2, 3, 1)
        pixels = video if whole else unit if kind == "pil" else last
        torch.testing.assert_close(read(said).float(), pixels, atol=1.0 if pixels is last else 1e-4, rtol=1e-4)


def filmed(latents):
    with torch.no_grad():
        return tiny_helios.vae().decode(latents).sample


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schemathesis.serializer("tensor/binary")
def as_it_is(context, value):
    return {"data": value.data if hasattr(value, "data") else value}


OPERATIONS = [
    ("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/health"), ("GET", "/metrics"),
    ("GET", "/openapi.json"), ("GET", "/docs"), ("POST", "/vaes/sd/decode"), ("POST", "/vaes/sd/encode"),
    ("POST", "/vaes/wan/decode"), ("POST", "/vaes/wan/encode"),
]  # fmt: skip


def test_the_description_lists_every_route(running):
    told = json.loads(get(running.address, "/openapi.json").body)["paths"]
    assert {(method.upper(), path) for path, methods in told.items() for method in methods} == {*OPERATIONS}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_description_allows_and_forbids(running, method, path):
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    operation = schema[path][method]

    @settings(max_examples=25, phases=[Phase.generate], **BOUNDED)
    @given(case=operation.as_strategy())
    def check(case):
        case.call_and_validate(checks=CHECKS, timeout=20)

    check()
