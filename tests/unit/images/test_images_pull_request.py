"""What is sent to a pull worker."""

from __future__ import annotations

import pytest

from cricket.errors import Internal, InvalidArgument
from cricket.images.pull_process import Workers
from cricket.images.remote.messages import PullRequest
from cricket.types.image import RegistryAuth


def request(size: int) -> PullRequest:
    return PullRequest(("nowhere.invalid/a:1",), "/nonexistent", auth=RegistryAuth(password="x" * size), lease="none")


async def ask(size: int) -> None:
    workers = Workers()
    try:
        async with workers.pull(request(size), lambda progress: None):
            pass
    finally:
        await workers.close()


async def test_credentials_without_measure_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="larger than"):
        await ask(2 << 20)


async def test_large_ones_arrive_whole() -> None:
    with pytest.raises(Internal, match="cannot write to the image store"):  # so it has understood what is asked
        await ask(500_000)
