"""A configuration made from a template when the kubelet tells the pod CIDR (as containerd's `conf_template`).

containerd's templates work as they are. Of Go's text/template this understands what such files use:
`{{.PodCIDR}}`, `{{$name}}`, `{{.}}`, `{{range [$i,] $v := .List}} ... {{end}}`, `{{range .List}}`,
`{{if X}} ... {{else}} ... {{end}}`, comments, and the trimming `{{-` and `-}}`.
The values are `.PodCIDR` (the first), `.PodCIDRRanges` (all) and `.Routes` (a default route per family).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from cricket.errors import InvalidArgument

Value = str | int | tuple[str, ...]
Scope = dict[str, Value]  # ".Name", "$name", and "." for the current one

_TOKEN = re.compile(r"\{\{(- )?\s*(.*?)\s*( -)?\}\}", re.S)
_RANGE = re.compile(r"range\s+(?:(?:(\$\w+)\s*,\s*)?(\$\w+)\s*:=\s*)?(\S+)\Z")
_IF = re.compile(r"if\s+(\S+)\Z")


class _Block(msgspec.Struct):
    """A piece of the template: text, a value, a range or an if, with what is inside."""

    kind: str
    word: str = ""
    index: str = ""
    item: str = ""
    body: list[_Block] = []
    other: list[_Block] = []


def values(cidrs: Sequence[str]) -> Scope:
    """What a template may use. Raises InvalidArgument for something that is no CIDR."""
    import ipaddress

    families = set()
    for cidr in cidrs:
        try:
            families.add(ipaddress.ip_network(cidr, strict=False).version)
        except ValueError as e:
            raise InvalidArgument(f"{cidr[:80]!r} is no pod CIDR") from e
    if not families:
        raise InvalidArgument("the pod CIDR is empty")
    routes = tuple(route for version, route in ((4, "0.0.0.0/0"), (6, "::/0")) if version in families)
    return {".PodCIDR": cidrs[0], ".PodCIDRRanges": tuple(cidrs), ".Routes": routes}


def render(template: str, scope: Scope, where: str) -> str:
    """Fill a template in. Raises InvalidArgument, with `where`, for what is not understood."""
    tokens = _tokens(template)
    blocks, end = _parse(tokens, where)
    if end:
        raise InvalidArgument(f"{{{{{end}}}}} without a range or if", where=where)
    return "".join(_run(blocks, scope, where))


def _tokens(template: str) -> Iterator[tuple[str, str]]:
    at, trim = 0, False
    for match in _TOKEN.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if trim else text
        yield "text", text.rstrip() if match[1] else text
        yield "action", match[2]
        at, trim = match.end(), bool(match[3])
    rest = template[at:]
    yield "text", rest.lstrip() if trim else rest


def _parse(tokens: Iterator[tuple[str, str]], where: str) -> tuple[list[_Block], str]:
    """Blocks up to the end of the tokens or the enclosing block; the second value is what ended it ("", end, else)."""
    blocks: list[_Block] = []
    for kind, word in tokens:
        if kind == "text":
            blocks.append(_Block("text", word))
        elif word in ("end", "else"):
            return blocks, word
        elif word.startswith("/*"):
            continue
        elif match := _RANGE.match(word):
            block = _Block("range", match[3], index=match[1] or "", item=match[2] or "")
            blocks.append(_filled(block, tokens, where))
        elif match := _IF.match(word):
            blocks.append(_filled(_Block("if", match[1]), tokens, where))
        else:
            blocks.append(_Block("value", word))
    return blocks, ""


def _filled(block: _Block, tokens: Iterator[tuple[str, str]], where: str) -> _Block:
    block.body, end = _parse(tokens, where)
    if end == "else":
        block.other, end = _parse(tokens, where)
    if end != "end":
        raise InvalidArgument(f"{{{{{block.kind} {block.word}}}}} has no end", where=where)
    return block


def _run(blocks: list[_Block], scope: Scope, where: str) -> Iterator[str]:
    for block in blocks:
        if block.kind == "text":
            yield block.word
            continue
        value = _value(block.word, scope, where)
        if block.kind == "value":
            if isinstance(value, tuple):
                raise InvalidArgument(f"{{{{{block.word}}}}} is a list: use range", where=where)
            yield str(value)
        elif block.kind == "range" and isinstance(value, tuple) and value:
            for i, item in enumerate(value):
                inner = {**scope, ".": item}
                inner |= {name: v for name, v in ((block.index, i), (block.item, item)) if name}
                yield from _run(block.body, inner, where)
        elif block.kind == "if":
            yield from _run(block.body if value else block.other, scope, where)
        elif not isinstance(value, tuple):
            raise InvalidArgument(f"{{{{range {block.word}}}}}: not a list", where=where)
        else:
            yield from _run(block.other, scope, where)


def _value(word: str, scope: Scope, where: str) -> Value:
    if word not in scope:
        known = ", ".join(sorted(scope))
        raise InvalidArgument(f"the template uses {{{{{word[:80]}}}}}", where=where, todo=f"Known here: {known}")
    return scope[word]
