"""Commands that mend something now and at every boot."""

from __future__ import annotations

_FILE = "90-cricket.conf"


def set_sysctl(name: str, value: int) -> str:
    """Set a sysctl; what sysctl prints is what its files hold."""
    return f"sysctl -w {name}={value} | tee -a /etc/sysctl.d/{_FILE}"


def load(module: str) -> str:
    """Load a kernel module."""
    return f"modprobe {module} && echo {module} >> /etc/modules-load.d/{_FILE}"
