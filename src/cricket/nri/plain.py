"""NRI messages as plain values: dicts, lists, strings and numbers, so that merging and applying need no protobuf.

A field that is unset (or a scalar with its default) has no key. The wrappers that NRI uses for optional scalars
(`OptionalInt64` and its kin) are replaced by what they hold. Enum values are their names, as in the OCI runtime spec.
"""

from __future__ import annotations

import functools
from typing import Any

from cricket.errors import Internal, InvalidArgument, map_errors

Plain = dict[str, Any]
# protobuf comes without type information: messages, descriptors of messages and of fields.
Message = Any
Descriptor = Any
Field = Any


def to_plain(message: Message) -> Plain:
    """The set fields of a message; nothing in the result is shared with it."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def from_plain(kind: Message, value: Plain) -> Message:
    """The message of type `kind` with these values; the inverse of `to_plain`. Unknown keys raise KeyError."""
    message = kind()
    _fill(message, value)
    return message


def parse(kind: Message, data: bytes) -> Message:
    """The message of type `kind` in `data`; raises InvalidArgument when it is none."""
    # protobuf's DecodeError has no type information and its other errors no common class; parsing can do nothing else.
    with map_errors(Exception, InvalidArgument, f"this is no {kind.DESCRIPTOR.name} message"):
        return kind.FromString(data)


def serialize(kind: Message, value: Plain) -> bytes:
    """The bytes of a message with these values; raises Internal when they do not fit (a number out of range)."""
    with map_errors((ValueError, TypeError, KeyError), Internal, f"a value does not fit into {kind.DESCRIPTOR.name}"):
        return bytes(from_plain(kind, value).SerializeToString())


@functools.cache
def _is_wrapper(descriptor: Descriptor) -> bool:
    return descriptor.name.startswith("Optional") and [f.name for f in descriptor.fields] == ["value"]


@functools.cache
def _is_map(field: Field) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _value(field: Field, value: Any) -> Any:
    if _is_map(field):
        item = field.message_type.fields_by_name["value"]
        return {key: _single(item, value[key]) for key in value}
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: Field, value: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    if field.message_type is None:
        return value
    if _is_wrapper(field.message_type):
        return list(value.value) if field.message_type.fields[0].is_repeated else value.value
    return to_plain(value)


def _fill(message: Message, value: Plain) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    for name, item in value.items():
        field = fields[name]
        if _is_map(field):
            _fill_map(getattr(message, name), field.message_type.fields_by_name["value"], item)
        elif field.message_type is not None and field.is_repeated:
            for each in item:
                _fill_message(getattr(message, name).add(), each)
        elif field.message_type is not None:
            _fill_message(getattr(message, name), item)
        elif field.is_repeated:
            getattr(message, name).extend(_number(field, each) for each in item)
        else:
            setattr(message, name, _number(field, item))


def _fill_map(target: Any, item: Field, value: Plain) -> None:
    for key, each in value.items():
        if item.message_type is not None:
            _fill_message(target[key], each)
        else:
            target[key] = each


def _fill_message(message: Message, value: Any) -> None:
    message.SetInParent()  # an empty message is not the same as none
    if not _is_wrapper(message.DESCRIPTOR):
        _fill(message, value)
    elif message.DESCRIPTOR.fields[0].is_repeated:
        message.value.extend(value)
    else:
        message.value = value


def _number(field: Field, value: Any) -> Any:
    if field.enum_type is not None and isinstance(value, str):
        return field.enum_type.values_by_name[value].number
    return value
