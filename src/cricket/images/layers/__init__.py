"""Unpacking layers: decompression, the tar reader, and the confined writing of what it reads."""

from cricket.images.layers.apply import ApplyResult, apply_layer, apply_verified

__all__ = ["ApplyResult", "apply_layer", "apply_verified"]
