"""Header blocks as the hpack package reads them, whatever is said in whatever order."""

from __future__ import annotations

import hpack
from hypothesis import given
from hypothesis import strategies as st

from cricket.wire.header_blocks import TABLE_SIZE, BlockEncoder, integer

names = st.sampled_from([b":path", b"te", b"grpc-timeout", b"x" * 40])
values = st.one_of(st.sampled_from([b"1S", b"trailers", b"", b"/s/M"]), st.binary(max_size=400))
block_fields = st.lists(st.tuples(names, values), max_size=6)


@given(st.lists(st.one_of(block_fields, st.sampled_from([0, 100, TABLE_SIZE, 1 << 20])), max_size=40))
def test_what_is_said_is_understood(said: list[list[tuple[bytes, bytes]] | int]) -> None:
    encoder, decoder = BlockEncoder(), hpack.Decoder(1 << 20)
    for each in said:
        if isinstance(each, int):
            encoder.limit(each)
            if each < TABLE_SIZE:
                decoder.decode(b"\x20")  # as `Output` has it before the next block
        else:
            assert [(bytes(n), bytes(v)) for n, v in decoder.decode(encoder.block(each), raw=True)] == each


def test_what_was_said_is_a_byte_afterwards() -> None:
    encoder, fields = BlockEncoder(), [(b":path", b"/s/M"), (b"te", b"trailers")]
    assert len(encoder.block(fields)) == 25
    assert encoder.block(fields) == b"\xbf\xbe"
    encoder.limit(10)
    again = encoder.block(fields)
    assert len(again) == 25 and again == encoder.block(fields)


def test_a_full_table_stays_as_it_is() -> None:
    encoder, decoder = BlockEncoder(), hpack.Decoder()
    fields = [(b"n", b"%d" % number) for number in range(200)]
    for _ in range(2):
        assert [(bytes(n), bytes(v)) for n, v in decoder.decode(encoder.block(fields), raw=True)] == fields
    assert encoder.block(fields[:1]) == integer(61 + len(decoder.header_table.dynamic_entries), 0x80)
