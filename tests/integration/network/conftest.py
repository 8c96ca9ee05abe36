"""The fixture `net` for this directory."""

from network_scene import net

__all__ = ["net"]
