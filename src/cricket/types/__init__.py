"""Immutable values that the rooms exchange, and the transition tables of sandbox and container.

They are `msgspec.Struct(frozen=True)` rather than dataclasses: the same reading, a tenth of the definition time at
start-up, and they are encoded to and decoded from the store's JSON without a line of code (see docs/dependencies.md).
"""
