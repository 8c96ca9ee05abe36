"""PAX extended header records (POSIX.1-2001, pax): `length keyword=value\\n`, all bytes."""

from __future__ import annotations

Records = dict[bytes, bytes]


def parse_records(data: bytes) -> Records:
    """The records of one header; ValueError when malformed.

    The repeated keywords of GNU sparse format 0.0 are joined into `GNU.sparse.map`, as format 0.1 has them.
    """
    records: Records = {}
    sparse: list[bytes] = []
    pos = 0
    while pos < len(data) and data[pos]:
        space = data.index(b" ", pos, pos + 21)
        length = int(data[pos:space])
        end = pos + length
        if length <= space + 1 - pos or end > len(data) or data[end - 1] != 0x0A:
            raise ValueError("record length")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not key or not equals:
            raise ValueError("record without a keyword")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse.append(value)
        else:
            records[key] = value
        pos = end
    if sparse:
        records[b"GNU.sparse.map"] = b",".join(sparse)
    return records


def parse_seconds(text: bytes) -> int:
    """Decimal seconds with any fraction, as nanoseconds (digits beyond are cut); ValueError."""
    whole, _, fraction = text.partition(b".")
    if not (whole.lstrip(b"-") or b"0").isdigit() or (fraction and not fraction.isdigit()):
        raise ValueError("not a decimal time")
    nanos = int((fraction + b"000000000")[:9])
    seconds = int(whole or b"0") if whole != b"-" else 0
    return seconds * 1_000_000_000 + (-nanos if whole.startswith(b"-") else nanos)
