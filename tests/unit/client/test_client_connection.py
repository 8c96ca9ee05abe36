"""The client against gRPC's own server for Python: an independent peer on a real socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket._proto.cricket import side_pb2
from cricket.client.connection import Client
from cricket.client.endpoint import LARGEST_REQUEST
from cricket.client.errors import RemoteError, UnreachableError
from cricket.errors import Code

LIMIT = 10.0


class Runtime:
    """What the methods do, and what they saw."""

    def __init__(self) -> None:
        self.left = threading.Event()
        """A call whose caller has gone was noticed."""
        self.go = threading.Event()
        self.seen: list[Any] = []

    def answer(self, name: str, request: Any, context: Any) -> Any:
        """Unary methods."""
        self.seen.append((request, context.time_remaining()))
        if name == "Version":
            return pb.VersionResponse(version=request.version)
        if name == "ListImages":
            return pb.ListImagesResponse(images=[pb.Image(id="x" * 1000) for _ in range(40_000)])
        if name == "PullImage":
            return pb.PullImageResponse(image_ref=str(request.ByteSize()))
        if name == "ContainerStatus":
            context.abort(grpc.StatusCode.NOT_FOUND, f"container {request.container_id!r} “ist weg” 100%\n☃")
        if name == "ExecSync":
            context.add_callback(self.left.set)
            self.go.wait(LIMIT)
        return pb.ExecSyncResponse()

    def stream(self, name: str, request: Any, context: Any) -> Iterator[Any]:
        """Streaming methods."""
        context.add_callback(self.left.set)
        if name == "PullProgress":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such pull")
        if name == "StreamContainers":
            yield from (pb.StreamContainersResponse(containers=[pb.Container(id="c")]) for _ in range(3))
            return
        for number in range(100_000):
            if not context.is_active():
                return
            yield pb.ContainerEventResponse(container_id=f"{number} {'x' * 1000}")


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # the package has no types
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def service(self, details: Any) -> Any:
        service, name = details.method.rpartition("/")[::2]
        module = side_pb2 if "cricket" in service else pb
        method = module.DESCRIPTOR.services_by_name[service.rpartition(".")[2]].methods_by_name.get(name)
        if method is None or name == "Status":
            return None
        kind = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        serve = self._runtime.stream if method.server_streaming else self._runtime.answer
        return kind(
            lambda request, context: serve(name, request, context),
            request_deserializer=getattr(module, method.input_type.name).FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def serve(runtime: Runtime, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a server at tmp_path/"s"; it ends with the test."""
    servers: list[Any] = []

    def start(**more: int) -> Any:
        options = [("grpc.max_receive_message_length", 32 << 20), ("grpc.so_reuseport", 0)]
        options += [(f"grpc.{name}", value) for name, value in more.items()]
        server = grpc.server(ThreadPoolExecutor(20), handlers=(_Handler(runtime),), options=options)
        server.add_insecure_port(f"unix:{tmp_path}/s")
        server.start()
        servers.append(server)
        return server

    yield start
    runtime.go.set()
    for server in servers:
        server.stop(0).wait(LIMIT)


@pytest.fixture
def client(serve: Callable[..., Any], tmp_path: Path) -> Iterator[Client]:
    serve()
    with Client(f"unix://{tmp_path}/s") as client:
        yield client


def test_questions_and_their_limits(client: Client, runtime: Runtime) -> None:
    for number in range(50):
        assert client.call("Version", version=str(number)).version == str(number)
    assert all(25 < left <= 30.1 for _, left in runtime.seen)
    assert client.raw("/runtime.v1.RuntimeService/Version", b"\x0a\x01x") == b"\x0a\x01x"
    with pytest.raises(LookupError):
        client.call("NoSuchMethod")


def test_the_words_of_an_error_are_those_of_the_runtime(client: Client) -> None:
    with pytest.raises(RemoteError) as caught:
        client.call("ContainerStatus", container_id="ü")
    assert caught.value.code is Code.NOT_FOUND and caught.value.what == "container 'ü' “ist weg” 100%\n☃"
    with pytest.raises(RemoteError) as caught, client.stream("PullProgress", reference="r") as states:
        list(states)
    assert caught.value.code is Code.NOT_FOUND and caught.value.what == "no such pull"
    with pytest.raises(RemoteError, match="does not speak CRI v1"):
        client.call("Status")


def test_large_messages(client: Client, runtime: Runtime) -> None:
    assert len(client.call("ListImages").images) == 40_000
    large = "x" * (LARGEST_REQUEST - 100)
    answer = client.call("PullImage", image={"image": large})
    assert len(large) < int(answer.image_ref) <= LARGEST_REQUEST and len(runtime.seen) == 2
    with pytest.raises(RemoteError, match="more than 16777216 are not sent") as caught:
        client.call("PullImage", image={"image": large + "x" * 100})
    assert caught.value.code is Code.RESOURCE_EXHAUSTED and len(runtime.seen) == 2


def test_an_answer_that_is_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cricket.client.transport.LARGEST_ANSWER", 1 << 20)
    with pytest.raises(RemoteError, match="more than 1048576 are not taken") as caught:
        client.call("ListImages")
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert client.call("Version", version="1").version == "1"


def test_streams(client: Client, runtime: Runtime) -> None:
    with client.stream("StreamContainers") as messages:
        assert len(list(messages)) == 3
    assert runtime.left.wait(LIMIT)
    runtime.left.clear()
    with client.stream("GetContainerEvents") as messages:
        first = [next(messages).container_id.split()[0] for _ in range(8000)]  # more than a window
        assert first == [str(number) for number in range(8000)]
        # Another call goes on beside it, however much of the stream waits.
        assert client.call("Version", version="1").version == "1"
        assert not runtime.left.is_set()
    assert runtime.left.wait(LIMIT)


def test_a_deadline_is_kept_here_and_told_there(client: Client, runtime: Runtime, tmp_path: Path) -> None:
    began = time.monotonic()
    with Client(f"unix://{tmp_path}/s", 0.2) as hurried, pytest.raises(RemoteError) as caught:
        hurried.call("ExecSync")
    assert caught.value.code is Code.DEADLINE_EXCEEDED and caught.value.what == "no answer within 0.2 s"
    assert 0.2 <= time.monotonic() - began < LIMIT and runtime.left.wait(LIMIT)
    assert runtime.seen[0][1] <= 0.2
    with Client(f"unix://{tmp_path}/s", 0) as patient:
        patient.call("Version")
    assert runtime.seen[1][1] is None or runtime.seen[1][1] > 1e6


def test_an_interrupted_wait_cancels_the_call(client: Client, runtime: Runtime) -> None:
    def interrupt() -> None:
        while not runtime.seen:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        client.call("ExecSync")
    assert runtime.left.wait(LIMIT)
    assert client.call("Version", version="1").version == "1"


def test_an_interrupt_in_the_middle_of_bytes_costs_the_connection_only(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("receive", "output", "open"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"cricket.client.transport.Http2Client.{place}", _interrupted)
            client.call("Version", version="1")
        assert client.call("Version", version="2").version == "2"


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_more_calls_than_the_runtime_takes(serve: Callable[..., Any], runtime: Runtime, tmp_path: Path) -> None:
    serve(max_concurrent_streams=1)
    with Client(f"unix://{tmp_path}/s") as client:
        client.call("Version")
        work = client.start("ExecSync")
        with pytest.raises(RemoteError, match="does not take so many calls at a time"):
            client.call("Version")
        runtime.go.set()
        work.result()
        assert client.call("Version", version="1").version == "1"


def test_pending_calls(client: Client, runtime: Runtime) -> None:
    work, told = client.start("ExecSync"), threading.Event()
    assert not work.done()
    work.when_done(told.set)
    assert client.call("Version", version="1").version == "1" and not work.done() and not told.is_set()
    runtime.go.set()
    assert work.result() == pb.ExecSyncResponse() and work.done() and told.wait(LIMIT)
    assert work.result() == pb.ExecSyncResponse()
    work.cancel()

    runtime.go.clear()
    work, again = client.start("ExecSync"), threading.Event()
    work.when_done(again.set)
    work.cancel()
    assert work.done() and again.wait(LIMIT) and runtime.left.wait(LIMIT)
    with pytest.raises(RemoteError) as caught:
        work.result()
    assert caught.value.code is Code.CANCELLED


def test_it_is_done_although_nobody_waits(client: Client, runtime: Runtime) -> None:
    work, deadline = client.start("ExecSync"), time.monotonic() + LIMIT
    runtime.go.set()
    while not work.done():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert work.result() == pb.ExecSyncResponse()


def test_many_threads_and_one_connection(client: Client) -> None:
    def ask(thread: int) -> None:
        for number in range(30):
            text = f"{thread} {number} " * (1 if number % 7 else 20_000)
            if thread % 4 == 0 and number % 10 == 0:
                with client.stream("StreamContainers") as messages:
                    assert len(list(messages)) == 3
            assert client.call("Version", version=text).version == text

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))


def test_threads_that_wait_do_not_keep_each_other(client: Client, runtime: Runtime) -> None:
    """The one that reads for all leaves first, and later ones still get their answers."""
    outcomes: list[str] = []

    def work() -> None:
        client.call("ExecSync")
        outcomes.append("done")

    with client.stream("GetContainerEvents") as events:
        next(events)
        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(runtime.seen) < len(threads):
            next(events)
    assert client.call("Version", version="1").version == "1" and not outcomes
    runtime.go.set()
    for thread in threads:
        thread.join(LIMIT)
    assert outcomes == ["done"] * 4


def test_closing_ends_what_other_threads_wait_for(client: Client, runtime: Runtime) -> None:
    errors: list[RemoteError] = []

    def work() -> None:
        with pytest.raises(RemoteError) as caught:
            client.call("ExecSync")
        errors.append(caught.value)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(runtime.seen) < len(threads):
        time.sleep(0.001)
    client.__exit__(None, None, None)
    client.__exit__(None, None, None)
    for thread in threads:
        thread.join(LIMIT)
    assert [error.code for error in errors] == [Code.CANCELLED] * 3
    with pytest.raises(RemoteError, match="the client is closed"):
        client.call("Version")


def test_a_runtime_that_goes_away_and_comes_back(serve: Callable[..., Any], runtime: Runtime, tmp_path: Path) -> None:
    server = serve()
    with Client(f"unix://{tmp_path}/s") as client:
        work = client.start("ExecSync")
        while not runtime.seen:
            time.sleep(0.001)
        server.stop(0).wait(LIMIT)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(tmp_path / "s")
        # What the kernel says of the socket tells more than how the call ended.
        with pytest.raises((UnreachableError, RemoteError)) as caught:
            work.result()
        assert caught.value.code in (Code.UNAVAILABLE, Code.CANCELLED)
        with pytest.raises(UnreachableError, match="no such file"):
            client.call("Version")
        serve()
        assert client.call("Version", version="1").version == "1"


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.settimeout(LIMIT)
        yield listener


def test_a_connection_that_ends_in_a_call(listener: socket.socket, tmp_path: Path) -> None:
    with Client(f"unix://{tmp_path}/s") as client:
        work = client.start("Version")
        accepted, _ = listener.accept()
        accepted.close()
        with pytest.raises(RemoteError, match="the runtime has closed the connection") as caught:
            work.result()
        assert caught.value.code is Code.UNAVAILABLE
        # And when nobody listens any more, that is the reason.
        work = client.start("Version")
        probe, _ = listener.accept()  # whether somebody still listens
        probe.close()
        accepted, _ = listener.accept()
        listener.close()
        accepted.close()
        with pytest.raises(UnreachableError, match="connection refused"):
            work.result()


def test_another_protocol(listener: socket.socket, tmp_path: Path) -> None:
    with Client(f"unix://{tmp_path}/s") as client:
        work = client.start("Version")
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(RemoteError, match="what answers does not speak gRPC"):
                work.result()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no such file"):
        Client(f"unix://{tmp_path}/s")
