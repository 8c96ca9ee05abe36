"""The fields of a protobuf message, read without protobuf."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from cricket._proto.cri import api_pb2 as pb
from cricket.client import fields
from cricket.client.errors import RemoteError


def test_fields_of_a_message() -> None:
    container = pb.Container(
        id="c1", metadata=pb.ContainerMetadata(name="web"), state=1, created_at=-5, labels={"a": "b"}
    )
    message = pb.ListContainersResponse(containers=[container, pb.Container(id="ü")]).SerializeToString()
    first, second = fields.each(message, 1)
    assert (fields.text(first, 1), fields.text(first, 3, 1), fields.number(first, 6)) == ("c1", "web", 1)
    assert fields.number(first, 7) == (1 << 64) - 5
    assert [fields.text(entry, 2) for entry in fields.each(first, 8)] == ["b"]
    assert (fields.text(second, 1), fields.text(second, 3, 1), fields.number(second, 6)) == ("ü", "", 0)


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(data: bytes) -> None:
    with contextlib.suppress(RemoteError):
        for _, value in fields.fields(data):
            assert isinstance(value, int | bytes)
