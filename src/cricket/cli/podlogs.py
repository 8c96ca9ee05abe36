"""The logs of the pods of an agent in this process, as they are written."""

from __future__ import annotations

import asyncio

from cricket.cli.logmerge import Merger
from cricket.cli.logview import LogView
from cricket.kubelet.agent import Agent
from cricket.kubelet.loop_records import ContainerRecord, State

_PERIOD = 0.05


class Display:
    """Follows the log files of all containers and writes them to standard output in the order of time. A file that is
    removed is read to its end: it stays open."""

    def __init__(self, agent: Agent, view: LogView) -> None:
        self._agent, self._merger = agent, Merger(view)

    async def run(self) -> None:
        """Show what comes until cancelled; then the rest."""
        try:
            while True:
                self.look()
                await asyncio.sleep(_PERIOD)
        finally:
            self.look()
            self._merger.close()

    def look(self) -> None:
        """Find new containers, and show what was written, in the order of time."""
        for worker in self._agent.workers.values():
            for record in reversed(worker.records.containers):
                self.keep(record)
        self._merger.look()

    def keep(self, record: ContainerRecord) -> None:
        """Follow the log of a container from now on."""
        if record.state is not State.CREATED and record.log_path:
            self._merger.add(record.id, record.name, record.log_path)
