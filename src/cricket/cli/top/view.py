"""What the user looks at: order, filter, what is folded and chosen; and what each key makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from cricket.cli.top.model import Container, Frame, Pod, Usage

SORTS = {
    "c": "cpu",
    "m": "memory",
    "n": "network",
    "d": "disk",
    "r": "restarts",
    "a": "age",
    "p": "name",
}
"""Keys that choose an order; the same key again turns it around."""

_Item = TypeVar("_Item", Pod, Container)
_Value = Callable[[Usage], float]
_VALUES: dict[str, _Value] = {
    "cpu": lambda usage: usage.cpu or 0.0,
    "memory": lambda usage: usage.memory or 0.0,
    "network": lambda usage: (usage.received or 0.0) + (usage.sent or 0.0),
    "disk": lambda usage: usage.disk or 0.0,
}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """`chosen`: the id of a pod or container. `typing`: a filter is being typed; `before` is the one to go back to."""

    sort: str = "cpu"
    backwards: bool = False
    filter: str = ""
    before: str = ""
    typing: bool = False
    folded: frozenset[str] = frozenset()
    chosen: str = ""
    details: bool = False
    help: bool = False
    over: bool = False


class Row(NamedTuple):
    """A line of the tree: a pod, or one of its containers; `last` of them."""

    pod: Pod
    container: Container | None = None
    last: bool = False

    @property
    def id(self) -> str:
        """Of the pod or container."""
        return self.container.id if self.container else self.pod.id


def rows(frame: Frame, view: View) -> list[Row]:
    """The lines of the tree in their order, whether they fit or not."""
    found = []
    for pod in _ordered(frame.pods, view):
        inside = _ordered(pod.containers, view)
        if not _fits(view.filter, pod.key):
            inside = [c for c in inside if _fits(view.filter, c.name)]
            if not inside:
                continue
        found.append(Row(pod))
        if pod.id not in view.folded:
            found += [Row(pod, container, number == len(inside)) for number, container in enumerate(inside, 1)]
    return found


def _fits(filter: str, name: str) -> bool:
    return filter.lower() in name.lower()


def _ordered(items: tuple[_Item, ...], view: View) -> list[_Item]:
    """The largest, youngest or first first; what is alike by name, so that lines stay where they are."""
    named = sorted(items, key=lambda item: (item.key if isinstance(item, Pod) else item.name, item.since))
    if view.sort == "name":
        return named[::-1] if view.backwards else named
    return sorted(named, key=lambda item: _value(item, view.sort), reverse=not view.backwards)


def _value(item: Pod | Container, sort: str) -> float:
    if sort == "age":
        return -item.since
    if sort == "restarts":
        return item.restarts if isinstance(item, Pod) else item.attempt
    # What moves by less than a hundredth keeps its place.
    return round(_VALUES[sort](item.usage), 2)


def press(view: View, key: str, frame: Frame, page: int) -> View:
    """The view after a key (a character, or a name like `up`); `page` is how many lines a page has."""
    if view.typing:
        return _typed(view, key)
    if view.help:
        return msgspec.structs.replace(view, help=False, over=key == "q")
    shown = rows(frame, view)
    if key in SORTS:
        same = view.sort == SORTS[key]
        return msgspec.structs.replace(view, sort=SORTS[key], backwards=same and not view.backwards)
    if key in _STEPS or key in ("home", "end", "g", "G"):
        return _moved(view, key, shown, page)
    if key in ("enter", " ", "left", "right", "-", "+"):
        return _folded(view, key, shown)
    changes: dict[str, dict[str, Any]] = {
        "q": {"over": True},
        "?": {"help": True},
        "/": {"typing": True, "before": view.filter},
        "i": {"details": not view.details, "chosen": _chosen(view, shown)},
        "tab": {"details": not view.details, "chosen": _chosen(view, shown)},
        "escape": {"details": False} if view.details else {"filter": ""},
    }
    return msgspec.structs.replace(view, **changes[key]) if key in changes else view


def _chosen(view: View, shown: list[Row]) -> str:
    return shown[place(view, shown)].id if shown else ""


def _typed(view: View, key: str) -> View:
    if key == "enter":
        return msgspec.structs.replace(view, typing=False)
    if key == "escape":
        return msgspec.structs.replace(view, typing=False, filter=view.before)
    if key == "backspace":
        return msgspec.structs.replace(view, filter=view.filter[:-1])
    return msgspec.structs.replace(view, filter=view.filter + key) if len(key) == 1 and key.isprintable() else view


_STEPS = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": 0, "pagedown": 0}


def _moved(view: View, key: str, shown: list[Row], page: int) -> View:
    if not shown:
        return view
    at = place(view, shown)
    step = {"pageup": -page, "pagedown": page}.get(key, _STEPS.get(key, 0))
    if key in ("home", "g", "end", "G"):
        step = -at if key in ("home", "g") else len(shown)
    return msgspec.structs.replace(view, chosen=shown[max(0, min(len(shown) - 1, at + step))].id)


def place(view: View, shown: list[Row]) -> int:
    """The number of the chosen line; the first when what was chosen is gone. A container in a folded pod is its pod."""
    for number, row in enumerate(shown):
        inside = row.container is None and row.pod.id in view.folded
        if row.id == view.chosen or (inside and any(c.id == view.chosen for c in row.pod.containers)):
            return number
    return 0


def _folded(view: View, key: str, shown: list[Row]) -> View:
    """Enter and space turn a pod around, and show a container's details; - and + fold and open all."""
    if key in "-+":
        every = frozenset(row.pod.id for row in shown) if key == "-" else frozenset[str]()
        return msgspec.structs.replace(view, folded=every)
    if not shown:
        return view
    row = shown[place(view, shown)]
    if row.container is not None and key in ("enter", "right"):
        return msgspec.structs.replace(view, details=True, chosen=row.id)
    shut = key == "left" or (key in ("enter", " ") and row.pod.id not in view.folded)
    folded = view.folded | {row.pod.id} if shut else view.folded - {row.pod.id}
    return msgspec.structs.replace(view, folded=folded, chosen=row.pod.id if shut else row.id)
