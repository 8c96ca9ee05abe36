"""The store against a dictionary: whatever is put, deleted and reopened, both say the same."""

from __future__ import annotations

import shutil
import tempfile

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from cricket.store.store import Store
from cricket.types.container import Container, ContainerConfig, ContainerMetadata, ContainerState
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState

NAMES = st.sampled_from(["a", "b", "c"])
STATES = st.sampled_from(list(SandboxState))
CONTAINER_STATES = st.sampled_from(list(ContainerState))


class StoreMachine(RuleBasedStateMachine):
    """`model` is what must be there, by id; `holders` is who holds which name, as the verbs rely on."""

    boxes = Bundle("boxes")
    containers = Bundle("containers")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="cricket-store-")
        self.path = f"{self.directory}/state.db"
        self.store = Store(self.path)
        self.model: dict[str, Sandbox | Container] = {}
        self.serial = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)

    def _next(self) -> str:
        self.serial += 1
        return f"{self.serial:064x}"

    def _put(self, record: Sandbox | Container) -> None:
        self.model[record.id] = record
        self.store.put(record)

    @rule(target=boxes, name=NAMES)
    def new_sandbox(self, name: str) -> str:
        config = SandboxConfig(metadata=SandboxMetadata(name=name, uid="u", namespace="n"))
        # The verbs make no second sandbox of a name that is held.
        if self.store.sandbox_named(config.metadata.key) is None:
            box = Sandbox(self._next(), config, "", SandboxState.CREATING, self.serial, "boot")
            self._put(box)
            return box.id
        return ""

    @rule(target=containers, box=boxes, name=NAMES)
    def new_container(self, box: str, name: str) -> str:
        if box not in self.model:
            return ""
        config = ContainerConfig(metadata=ContainerMetadata(name=name), image="image")
        if self.store.container_named(box, config.metadata.key("")) is not None:
            return ""
        record = Container(self._next(), box, config, ContainerState.CREATING, self.serial)
        self._put(record)
        return record.id

    @rule(box=boxes, state=STATES)
    def change_sandbox(self, box: str, state: SandboxState) -> None:
        record = self.model.get(box)
        if isinstance(record, Sandbox) and record.state is not SandboxState.REMOVING:
            self._put(msgspec.structs.replace(record, state=state))

    @rule(container=containers, state=CONTAINER_STATES)
    def change_container(self, container: str, state: ContainerState) -> None:
        record = self.model.get(container)
        if isinstance(record, Container) and record.state is not ContainerState.REMOVING:
            self._put(msgspec.structs.replace(record, state=state, pid=self.serial))

    @rule(key=st.one_of(boxes, containers))
    def delete(self, key: str) -> None:
        record = self.model.pop(key, None)
        if record is not None:
            self.store.delete(record)
            self.store.delete(record)  # idempotent

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path)

    @rule()
    def open_after_a_kill(self) -> None:
        """A killed process has not closed the file: what it wrote last is in the log beside it."""
        killed, self.store = self.store, Store(self.path)
        killed.close()

    @invariant()
    def the_same_records(self) -> None:
        assert {**self.store.sandboxes, **self.store.containers} == self.model

    @invariant()
    def members_in_order_of_creation(self) -> None:
        for box in self.store.sandboxes:
            expected = [r for r in self.model.values() if isinstance(r, Container) and r.sandbox_id == box]
            assert self.store.members(box) == sorted(expected, key=lambda r: r.created_at)

    @invariant()
    def names_lead_to_the_living(self) -> None:
        for record in self.model.values():
            if isinstance(record, Sandbox):
                gone, found = SandboxState.REMOVING, self.store.sandbox_named(record.config.metadata.key)
            else:
                key = record.config.metadata.key("")
                gone, found = ContainerState.REMOVING, self.store.container_named(record.sandbox_id, key)
            if record.state is not gone:
                assert found == record
            elif found is not None:
                assert found.id != record.id


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
