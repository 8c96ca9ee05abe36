"""NRI switched off, or without any plugin: nothing is ever asked."""

from __future__ import annotations

from typing import Any


class NoNri:
    """Never active; the verbs ask no further."""

    active = False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"NRI is not active, {name} must not be called")
