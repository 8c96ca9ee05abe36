"""kubectl's JSONPath templates as values: text with expressions in braces, `{range}` to `{end}`.

The dialect is that of https://kubernetes.io/docs/reference/kubectl/jsonpath/. Two things are read more generously: a
template that begins like a path needs no braces, and `$` is the document also within a range.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from cricket.errors import InvalidArgument, map_errors

_ENDS = frozenset(" \t\r\n.,[](){}$@=<>!&|'\"")
"""What no name contains, unless after a backslash."""
_STARTS = (".", "$", "[", "@")
_OPERATORS = ("==", "!=", "<=", ">=", "<", ">")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class JsonPathError(InvalidArgument):
    """A template that is none, or one that does not fit the document."""


class Field(NamedTuple):
    """The value of a key."""

    name: str


class Wildcard(NamedTuple):
    """All elements or values."""


class Index(NamedTuple):
    """One element; negative ones count from the end."""

    at: int


class Slice(NamedTuple):
    """Elements as Python's slices choose them."""

    start: int | None
    end: int | None
    step: int | None


class Descent(NamedTuple):
    """The value and all objects and lists within it."""


class Union(NamedTuple):
    """What several steps give, one after the other."""

    choices: tuple[tuple[Step, ...], ...]


class Path(NamedTuple):
    """Steps from the document (`$`) or from where a range or filter is (`@`)."""

    anchor: str
    steps: tuple[Step, ...]


class Literal(NamedTuple):
    """A constant to compare with."""

    value: str | float | bool | None


class Filter(NamedTuple):
    """Elements for which a comparison is true; without an operator those that have the value."""

    left: Path | Literal
    operator: str
    right: Path | Literal


class Text(NamedTuple):
    """Text to be printed as it is."""

    text: str


class Range(NamedTuple):
    """The body once for each value of the path."""

    path: Path
    body: tuple[Part, ...]


Step = Field | Wildcard | Index | Slice | Descent | Union | Filter
Part = Text | Path | Range


def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template. Raises JsonPathError with the character where it is wrong, counted from 1."""
    if "{" not in template and template[:1] in _STARTS:
        template = f"{{{template}}}"
    with map_errors(RecursionError, JsonPathError, "too many ranges or filters are within each other"):
        return _Reader(template).parts(within=0)


def parse_path(text: str) -> Path:
    """One path, as --sort-by takes it: `{.a.b}`, `.a.b` or `a.b`. Raises JsonPathError."""
    inner = text.lstrip()
    parts = parse(inner if inner.startswith("{") else f"{{{'' if inner[:1] in _STARTS else '.'}{inner}}}")
    if len(parts) != 1 or not isinstance(parts[0], Path) or not parts[0].steps:
        raise JsonPathError("the expression is no single path", where=text, todo="write it like {.metadata.name}")
    return parts[0]


class _Reader:
    """Reads from left to right; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def fail(self, expected: str, at: int | None = None) -> NoReturn:
        at = self.at if at is None else at
        found = repr(self.text[at]) if at < len(self.text) else "the end"
        raise JsonPathError(f"character {at + 1}: expected {expected}, found {found}", where=self.text)

    def parts(self, within: int) -> tuple[Part, ...]:
        """Parts up to the end, or `{end}` of the range that began at `within` (from 1)."""
        found: list[Part] = []
        while self.at < len(self.text):
            if self.text[self.at] != "{":
                end = self.text.find("{", self.at)
                end = len(self.text) if end < 0 else end
                found.append(Text(self.text[self.at : end]))
                self.at = end
                continue
            began = self.at
            self.at += 1
            self.space()
            if self.word("end"):
                if not within:
                    self.fail("no {end}, as no range is open", began)
                self.close()
                return tuple(found)
            found.append(self.action(began))
        if within:
            self.fail(f"{{end}} of the range that begins at character {within}")
        return tuple(found)

    def action(self, began: int) -> Part:
        """What is between braces, and the closing one."""
        if self.peek() in ("'", '"'):
            text = Text(self.quoted())
            self.close()
            return text
        if self.word("range"):
            path = self.path("@")
            self.close()
            body = self.parts(within=began + 1)
            return Range(path, body)
        path = self.path("@")
        self.close()
        return path

    def path(self, anchor: str) -> Path:
        """A path; one that names no anchor begins where `anchor` says."""
        self.space()
        if self.peek() in ("$", "@"):
            anchor = self.peek()
            self.at += 1
        elif self.peek() not in (".", "["):
            self.fail("a path like .metadata.name, a text in quotes, range or end")
        return Path(anchor, self.steps())

    def steps(self) -> tuple[Step, ...]:
        found: list[Step] = []
        while True:
            if self.take(".."):
                found.append(Descent())
                if self.peek() not in ("", "}", "[", ")", " "):
                    found.append(self.name())
            elif self.take("."):
                # `.` alone is the value itself, and `.[0]` the same as `[0]`.
                if self.peek() not in ("", "}", "[", ")", " "):
                    found.append(self.name())
            elif self.take("["):
                found.append(self.brackets())
            else:
                return tuple(found)

    def name(self) -> Step:
        """A key; with backslashes before what would end it."""
        began, found = self.at, []
        while self.at < len(self.text) and self.text[self.at] not in _ENDS:
            if self.text[self.at] == "\\":
                self.at += 1
                if self.at == len(self.text):
                    self.fail("a character after the backslash")
            found.append(self.text[self.at])
            self.at += 1
        if not found:
            self.fail("a name or *")
        return Wildcard() if self.text[began : self.at] == "*" else Field("".join(found))

    def brackets(self) -> Step:
        """What is between [ and ], and the closing one."""
        self.space()
        if self.take("?"):
            self.space()
            self.expect("(")
            condition = self.filter()
            self.expect(")")
            self.expect("]")
            return condition
        choices = [self.choice()]
        while self.after_space(","):
            choices.append(self.choice())
        self.expect("]")
        if len(choices) == 1 and len(choices[0]) == 1:
            return choices[0][0]
        return Union(tuple(choices))

    def choice(self) -> tuple[Step, ...]:
        """One of the alternatives of a union."""
        self.space()
        if self.take("*"):
            return (Wildcard(),)
        if self.peek() in ("'", '"'):
            return self.key()
        start = self.integer()
        if not self.after_space(":"):
            if start is None:
                self.fail("a number, a slice, *, a name in quotes or ?(...)")
            return (Index(start),)
        end = self.integer()
        began = self.at
        step = self.integer() if self.after_space(":") else None
        if step is not None and step < 1:
            self.fail("a step of 1 or more", began + 1)
        return (Slice(start, end, step),)

    def key(self) -> tuple[Step, ...]:
        """A name in quotes; as in kubectl, dots in it lead on, unless after a backslash."""
        began, quote = self.at, self.peek()
        end = self.text.find(quote, began + 1)
        if end < 0:
            self.at = len(self.text)
            self.fail(f"the closing {quote}")
        found, name, escaped = list[Step](), "", False
        for character in self.text[began + 1 : end]:
            if not escaped and character == ".":
                if name:
                    found.append(Field(name))
                name = ""
            elif not escaped and character == "\\":
                escaped = True
                continue
            else:
                name += character
            escaped = False
        self.at = end + 1
        return (*found, Field(name))

    def filter(self) -> Filter:
        left = self.operand()
        self.space()
        for operator in _OPERATORS:
            if self.take(operator):
                right = self.operand()
                self.space()
                return Filter(left, operator, right)
        if isinstance(left, Literal) or self.peek() != ")":
            self.fail(f"one of {', '.join(_OPERATORS)}{'' if isinstance(left, Literal) else ' or )'}")
        return Filter(left, "", Literal(None))

    def operand(self) -> Path | Literal:
        self.space()
        if self.peek() in ("'", '"'):
            return Literal(self.quoted())
        if number := _NUMBER.match(self.text, self.at):
            self.at = number.end()
            return Literal(float(number[0]) if number[1] or number[2] else int(number[0]))
        for word, value in _WORDS.items():
            if self.word(word):
                return Literal(value)
        if self.peek() not in ("@", "$", ".", "["):
            self.fail("@.name, a number, a text in quotes, true, false or null")
        return self.path("@")

    def quoted(self) -> str:
        """A text in quotes, with the usual escapes."""
        quote, found = self.peek(), []
        self.at += 1
        while self.peek() != quote:
            if self.take("\\"):
                found.append(_ESCAPES.get(self.peek(), self.peek()))
            else:
                found.append(self.peek())
            if not self.peek():
                self.fail(f"the closing {quote}")
            self.at += 1
        self.at += 1
        return "".join(found)

    def integer(self) -> int | None:
        self.space()
        match = _INTEGER.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return int(match[0])

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def word(self, word: str) -> bool:
        """Take a whole word."""
        after = self.text[self.at + len(word) : self.at + len(word) + 1]
        return (not after or after in _ENDS) and self.take(word)

    def space(self) -> None:
        while self.peek().isspace():
            self.at += 1

    def after_space(self, text: str) -> bool:
        self.space()
        return self.take(text)

    def expect(self, text: str) -> None:
        if not self.after_space(text):
            self.fail(text)

    def close(self) -> None:
        self.expect("}")
