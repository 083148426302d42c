"""What one end writes the other reads; what is not the wire's is refused by the name of the field."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import MAX_ELEMENTS, Head, TooLarge, bytes_of, tensor_of
from calotype.remote.wire import DecodeQuery, EncodeQuery

GOOD = "shape=1&shape=4&shape=8&shape=8&dtype=float32"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.uint8])
def test_a_tensor_survives_the_wire(dtype):
    tensor = (torch.rand(1, 4, 3, 5) * 200).to(dtype).transpose(2, 3)
    head = Head.told_by({name.lower(): value for name, value in Head.of(tensor).headers().items()})
    assert torch.equal(tensor_of(head, bytearray(bytes_of(tensor))), tensor)


def test_a_tensor_in_order_is_sent_from_where_it_lies():
    tensor = torch.zeros(1, 1, 2)
    told = bytes_of(tensor)
    tensor[0, 0, 0] = 1
    assert bytes(told) == tensor.numpy().tobytes()


@pytest.mark.parametrize(
    "query",
    [
        DecodeQuery(Head((1, 4, 8, 8), "float16"), "pt", "png", True, 0.18215, None),
        DecodeQuery(Head((1, 16, 64), "bfloat16"), do_scaling=True, height=64, width=32),
        EncodeQuery(Head((1, 3, 8, 8), "float32"), 0.3611, 0.1159),
        EncodeQuery(),
    ],
    ids=lambda query: type(query).__name__,
)
def test_a_query_survives_the_wire(query):
    told = parse_qsl(urlencode(query.pairs()), keep_blank_values=True)
    assert type(query).read(told) == query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("dtype=float32", "shape"),
        ("shape=1&shape=4&dtype=float32", "shape"),
        ("shape=1&" * 6 + "dtype=float32", "shape"),
        ("shape=-1&shape=4&shape=8&shape=8&dtype=float32", "shape"),
        ("shape=0&shape=4&shape=8&shape=8&dtype=float32", "shape"),
        ("shape=1.0&shape=4&shape=8&shape=8&dtype=float32", "shape"),
        ("shape=[1,4,8,8]&dtype=float32", "shape"),
        ("shape=1&shape=4&shape=8&shape=٨&dtype=float32", "shape"),
        ("shape=1&shape=4&shape=8&shape=" + "9" * 5000 + "&dtype=float32", "shape"),
        ("shape=1&shape=4&shape=8&shape=8", "dtype"),
        ("shape=1&shape=4&shape=8&shape=8&dtype=uint8", "dtype"),
        ("shape=1&shape=4&shape=8&shape=8&dtype=complex64", "dtype"),
        (f"{GOOD}&dtype=float32", "dtype"),
        (f"{GOOD}&output_type=gif", "output_type"),
        (f"{GOOD}&image_format=webp", "image_format"),
        (f"{GOOD}&partial_postprocess=maybe", "partial_postprocess"),
        (f"{GOOD}&scaling_factor=0", "scaling_factor"),
        (f"{GOOD}&scaling_factor=nan", "scaling_factor"),
        (f"{GOOD}&scaling_factor=1e308", "scaling_factor"),
        (f"{GOOD}&shift_factor=inf", "shift_factor"),
        (f"{GOOD}&height=-8", "height"),
        (f"{GOOD}&width=1000000", "width"),
        ("shape=1&shape=16&shape=64&dtype=float32&height=64", "width"),
    ],
)
def test_a_query_that_is_not_the_wires_is_refused_by_name(query, field):
    with pytest.raises(InvalidArgument) as told:
        DecodeQuery.read(parse_qsl(query, keep_blank_values=True))
    assert told.value.where == field
    assert len(str(told.value)) < 200


@pytest.mark.parametrize("shape", [(1, 4, 1 << 20, 1 << 20), (1 << 31, 1, 1), (1, 1, MAX_ELEMENTS + 1)])
def test_more_than_the_limit_is_refused_before_memory_is_taken(shape):
    with pytest.raises(TooLarge, match="at most"):
        Head(shape, "float32")


@pytest.mark.parametrize("size", [0, 1, 1023, 1025])
def test_bytes_that_do_not_fill_the_shape_are_refused(size):
    with pytest.raises(InvalidArgument, match=f"1024 bytes.*found {size} bytes"):
        tensor_of(Head((1, 4, 8, 8), "float32"), bytearray(size))


@pytest.mark.parametrize(
    "told", ["", "8", "[]", "[-1, 4, 4]", "[1.5, 4, 4]", "{}", "[1, 4, 4", "[" * 10_000, '["1", 4, 4]']
)
def test_headers_that_describe_no_tensor_are_refused(told):
    with pytest.raises(InvalidArgument, match="shape"):
        Head.told_by({"shape": told, "dtype": "float32"})
