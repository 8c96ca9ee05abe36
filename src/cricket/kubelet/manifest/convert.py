"""Plain data to the model's types, with all mistakes at once.

msgspec's own conversion stops at the first mistake, and takes null for a value; to Kubernetes it is a field left out.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import types
from typing import Any, Union, get_args, get_origin

import msgspec

from cricket.errors import InvalidArgument
from cricket.kubelet import quantity
from cricket.kubelet.manifest.finding import Finding, Path
from cricket.kubelet.manifest.unsupported import IGNORED, SILENT, UNSUPPORTED
from cricket.kubelet.model.base import Quantity

_EMPTY: dict[Any, Any] = {str: "", int: 0, bool: False, bytes: b"", Quantity: Quantity("0")}
_INT64 = 1 << 63
_FIELDS: dict[type[Any], dict[str, msgspec.structs.FieldInfo]] = {}


class Converter:
    """One document's conversion; what it found is in `findings`. A field with a mistake gets its default, or something
    empty, so that the rest can be validated; the object is good only when nothing was found."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def struct(self, data: Any, kind: type[Any], path: Path) -> Any:
        """An object."""
        if not isinstance(data, dict):
            if data is not None:
                self._wrong(path, "an object", data)
            data = {}
        fields = _fields(kind)
        values: dict[str, Any] = {}
        for name, value in data.items():
            field = fields.get(name)
            if field is None:
                self._unknown(kind, name, value, path)
            elif value is not None:
                values[field.name] = self._value(value, field.type, (*path, name))
        for name, field in fields.items():
            if field.name not in values and field.required:
                if data.get(name) is None:
                    self._say((*path, name), "required value")
                values[field.name] = self._nothing(field.type, (*path, name))
        return kind(**values)

    def _value(self, data: Any, kind: Any, path: Path) -> Any:
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            options = [option for option in get_args(kind) if option is not type(None)]
            if len(options) == 2:
                return self._number_or_name(data, path)
            return self._value(data, options[0], path)
        if origin is tuple:
            return self._list(data, get_args(kind)[0], path)
        if origin is dict:
            return self._map(data, get_args(kind)[1], path)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(data, kind, path)
        return self._scalar(data, kind, path)

    def _list(self, data: Any, item: Any, path: Path) -> tuple[Any, ...]:
        if not isinstance(data, list):
            self._wrong(path, "a list", data)
            return ()
        return tuple(self._value(value, item, (*path, i)) for i, value in enumerate(data))

    def _map(self, data: Any, item: Any, path: Path) -> dict[str, Any]:
        if not isinstance(data, dict):
            self._wrong(path, "an object", data)
            return {}
        empty = "" if item is str else b"" if item is bytes else None
        return {
            key: self._value(empty if value is None else value, item, (*path, key))
            for key, value in data.items()
            if value is not None or empty is not None
        }

    def _number_or_name(self, data: Any, path: Path) -> int | str:
        if isinstance(data, str) or (isinstance(data, int) and not isinstance(data, bool)):
            return data
        self._wrong(path, "a number or a name", data)
        return 0

    def _scalar(self, data: Any, kind: Any, path: Path) -> Any:
        if kind is Quantity:
            return self._quantity(data, path)
        if kind is bytes:
            return self._bytes(data, path)
        if kind is int and isinstance(data, float) and data.is_integer():
            data = int(data)
        if kind is int and isinstance(data, int) and not isinstance(data, bool) and not -_INT64 <= data < _INT64:
            self._say(path, "the number is too large")
            return 0
        if isinstance(data, kind) and (kind is bool or not isinstance(data, bool)):
            return data
        words = {str: "a string", int: "a whole number", bool: "true or false"}[kind]
        quote = "; put it in quotes" if kind is str and isinstance(data, (int, float, bool)) else ""
        self._wrong(path, words, data, quote)
        return _EMPTY[kind]

    def _quantity(self, data: Any, path: Path) -> Quantity:
        if isinstance(data, bool) or not isinstance(data, (str, int, float)):
            self._wrong(path, "a quantity", data)
            return Quantity("0")
        try:
            quantity.parse(str(data))
        except InvalidArgument as error:
            self._say(path, f'"{data}" is no quantity; {error.todo}')
            return Quantity("0")
        return Quantity(str(data))

    def _bytes(self, data: Any, path: Path) -> bytes:
        if not isinstance(data, str):
            self._wrong(path, "base64", data)
            return b""
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            plain = "data" if path[0] == "binaryData" else "stringData"
            self._say(path, f"this is not base64; plain text goes into {plain}")
            return b""

    def _nothing(self, kind: Any, path: Path) -> Any:
        origin = get_origin(kind)
        if origin is tuple:
            return ()
        if origin in (Union, types.UnionType):
            return 0
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            quiet = Converter()
            return quiet.struct({}, kind, path)
        return _EMPTY[kind]

    def _unknown(self, kind: type[Any], name: str, value: Any, path: Path) -> None:
        if name in SILENT.get(kind, ()):
            return
        if reason := IGNORED.get(kind, {}).get(name):
            if value not in (None, [], {}, "", False, "default", "default-scheduler"):
                self.findings.append(Finding((*path, name), f"ignored: {reason}", warning=True))
        elif reason := UNSUPPORTED.get(kind, {}).get(name):
            if value is not None:
                self._say((*path, name), f"not supported: {reason}")
        else:
            known: list[str] = [*_fields(kind), *UNSUPPORTED.get(kind, ()), *IGNORED.get(kind, ())]
            self._say((*path, name), "unknown field" + _suggestion(name, known))

    def _wrong(self, path: Path, wanted: str, data: Any, advice: str = "") -> None:
        self._say(path, f"this should be {wanted}, and is {_kind(data)}{advice}")

    def _say(self, path: Path, text: str) -> None:
        self.findings.append(Finding(path, text))


def _fields(kind: type[Any]) -> dict[str, msgspec.structs.FieldInfo]:
    if kind not in _FIELDS:
        _FIELDS[kind] = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    return _FIELDS[kind]


def _suggestion(name: str, known: list[str]) -> str:
    folded = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[near[0]]}?" if near else ""


def _kind(data: Any) -> str:
    match data:
        case bool():
            return str(data).lower()
        case int() | float():
            return f"the number {data}"
        case str():
            return f'the string "{data[:40]}"'
        case list():
            return "a list"
        case None:
            return "nothing"
    return "an object"
