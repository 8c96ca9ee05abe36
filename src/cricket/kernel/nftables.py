"""nf_tables over nfnetlink: look at chains and rules, and change them by transactions that meet what was looked at.

Made for the tables of iptables-nft (`ip nat`, `ip6 nat`, `ip filter`, `ip6 filter`), which others change all the time:
every transaction names the generation of the rules that its plan has seen, the kernel refuses it when there is a newer
one, and the plan is made anew. Calls block, and mean the network namespace of the calling thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

from cricket.errors import Aborted, CricketError, Internal, PermissionDenied, map_errors
from cricket.kernel import netlink_wire as wire
from cricket.kernel import nftables_rule
from cricket.kernel import nftables_wire as nft
from cricket.kernel.effects import effect
from cricket.kernel.nftables_rule import Rule
from cricket.kernel.nftables_wire import Chain, Found, Hook, Message

IPV4, IPV6 = nft.IPV4, nft.IPV6

# NF_INET_* and the priorities of iptables' base chains.
_BASE = {
    ("nat", "PREROUTING"): Hook(0, -100, "nat"),
    ("nat", "OUTPUT"): Hook(3, -100, "nat"),
    ("nat", "POSTROUTING"): Hook(4, 100, "nat"),
    ("filter", "FORWARD"): Hook(2, 0, "filter"),
}
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_SO_SNDBUFFORCE = 32
_SEND_BUFFER = 1 << 17  # what fits into the default one
_RECEIVE = 1 << 18
_TIMEOUT = 10.0
_RESTARTS = 20  # of a dump
_TRIES = 100  # of a transaction
_LOCK = threading.Lock()
_kept: tuple[int, Nftables] | None = None  # the number of a namespace, and a socket of it


class _Stale(Exception):
    """The rules have changed since the plan was made."""


class Nftables:
    """A netfilter socket; a context manager. Methods raise CricketError."""

    def __init__(self) -> None:
        with map_errors(OSError, Internal, "cannot open a netfilter socket"):
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, nft.NETLINK_NETFILTER
            )
            try:
                for option in (_CAP_ACK, _EXT_ACK):
                    with contextlib.suppress(OSError):  # old kernels: errors are terser
                        self._socket.setsockopt(_SOL_NETLINK, option, 1)
                self._socket.settimeout(_TIMEOUT)
                self._socket.bind((0, 0))
            except BaseException:
                self._socket.close()
                raise
        self._sequence = 0

    def __enter__(self) -> Nftables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def generation(self) -> int:
        """The number that every transaction of anyone counts up."""
        return nft.generation(self._ask(nft.get_generation())[0])

    def chain(self, family: int, table: str, name: str) -> Chain | None:
        """One chain, None when there is none."""
        try:
            return nft.chain(self._ask(nft.get_chain(family, table, name))[0])
        except Internal as e:
            if isinstance(e.__cause__, FileNotFoundError):
                return None
            raise

    def rules(self, family: int, table: str, chain: str) -> list[Found]:
        """The rules of one chain, none when it does not exist. Takes about 1.5 us for each of them."""
        message = nft.get_rules(family, table, chain)
        for _ in range(_RESTARTS):
            torn = False
            payloads = []
            for flags, payload in self._exchange(message):
                torn |= bool(flags & wire.F_DUMP_INTR)
                payloads.append(payload)
            if not torn:
                break
        return [Found(p) for p in payloads]

    def has_target(self, family: int, name: str, revision: int) -> bool:
        """Whether the kernel has this target of xtables for nf_tables. Other failures are a no too."""
        try:
            return bool(self._ask(nft.get_target(family, name, revision)))
        except CricketError:
            return False

    def commit(self, generation: int, messages: Sequence[Message]) -> None:
        """Perform all of the messages, or none of them.

        Raises _Stale when the rules are no longer of `generation`, Internal for the first message that fails.
        """
        first = self._sequence + 1
        self._sequence += len(messages) + 2
        last = first + len(messages)
        parts = [nft.begin(generation, first)]
        parts += [nft.pack(m, i, wire.F_ACK if i == last else 0) for i, m in enumerate(messages, first + 1)]
        data = b"".join([*parts, nft.end(last + 1)])
        with map_errors(OSError, Internal, f"cannot {messages[0].what}"):
            if len(data) > _SEND_BUFFER:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * len(data))
            self._socket.send(data)
            failure = self._outcome(first, last)
        if failure is None:
            return
        sequence, problem, words = failure
        if problem == errno.ERESTART:
            raise _Stale
        raise _failure(problem, words, messages[max(sequence - first, 1) - 1].what)

    def _outcome(self, first: int, last: int) -> tuple[int, int, str] | None:
        """Of the transaction just sent: None for success, else (sequence, errno, words) of the first failure.

        Failures of the whole are told for the message that begins it, and end it; failures of messages come in order.
        """
        failure = None
        while True:
            for kind, flags, sequence, payload in wire.messages(self._socket.recv(_RECEIVE)):
                if kind != wire.NLMSG_ERROR or not first <= sequence <= last:
                    continue
                problem, words = wire.error(payload, flags)
                if problem and failure is None:
                    failure = sequence, problem, words
                if sequence in (first, last):
                    return failure

    def _ask(self, message: Message) -> list[bytes]:
        return [payload for _, payload in self._exchange(message)]

    def _exchange(self, message: Message) -> list[tuple[int, bytes]]:
        """Send one question; returns (flags, payload) of each answer."""
        self._sequence += 1
        dump = bool(message.flags & (wire.F_DUMP | wire.F_ACK))
        found: list[tuple[int, bytes]] = []
        with map_errors(OSError, Internal, f"cannot {message.what}"):
            self._socket.send(nft.pack(message, self._sequence))
            while True:
                for kind, flags, sequence, payload in wire.messages(self._socket.recv(_RECEIVE)):
                    if sequence != self._sequence:
                        continue
                    if kind in (wire.NLMSG_ERROR, wire.NLMSG_DONE):
                        problem, words = wire.error(payload, flags)
                        if problem:
                            raise _failure(problem, words, message.what)
                        return found
                    found.append((flags, payload))
                if found and not dump:
                    return found


class Edit:
    """A plan for one transaction on the tables of one family: what is there at its generation, and what is to change.

    Looking at a chain shows it as it was when the plan began; chains that the plan makes count as there.
    """

    def __init__(self, socket_: Nftables, family: int) -> None:
        self.family = family
        self.messages: list[Message] = []
        self._nft = socket_
        self._tables: set[str] = set()
        self._rules: dict[tuple[str, str], list[Found]] = {}
        self._chains: dict[tuple[str, str], Chain | None] = {}

    def chain(self, table: str, name: str) -> Chain | None:
        """The chain, None when there is none."""
        key = table, name
        if key not in self._chains:
            self._chains[key] = self._nft.chain(self.family, table, name)
        return self._chains[key]

    def rules(self, table: str, chain: str) -> list[Found]:
        """The rules that the chain has."""
        key = table, chain
        if key not in self._rules:
            self._rules[key] = self._nft.rules(self.family, table, chain)
        return self._rules[key]

    def ensure_chain(self, table: str, name: str) -> None:
        """Make the chain and its table unless they are there."""
        if self.chain(table, name) is not None:
            return
        if table not in self._tables:
            self._tables.add(table)
            self.messages.append(nft.new_table(self.family, table))
        self.messages.append(nft.new_chain(self.family, table, name, _BASE.get((table, name))))
        self._chains[table, name] = Chain(name, 0)
        self._rules[table, name] = []

    def add(self, table: str, chain: str, rule: Rule, *, first: bool = False) -> None:
        """Add a rule as the last or the first one, there already or not."""
        self.messages.append(nft.new_rule(self.family, table, chain, rule.expressions, rule.protocol, first=first))

    def matching(self, table: str, chain: str, *rules: Rule) -> list[list[Found]]:
        """For each of `rules` those of the chain that are the same."""
        there = self.rules(table, chain)
        return [nftables_rule.matching(rule, there) for rule in rules]

    def missing(self, table: str, chain: str, rules: Sequence[Rule]) -> list[Rule]:
        """Those of `rules` that the chain does not have, each once."""
        wanted = list(dict.fromkeys(rules))
        return [r for r, found in zip(wanted, self.matching(table, chain, *wanted), strict=True) if not found]

    def ensure(self, table: str, chain: str, *rules: Rule, first: bool = False) -> None:
        """Add those rules that the chain does not have, and the chain, one after another: each at the end or start."""
        self.ensure_chain(table, chain)
        for rule in self.missing(table, chain, rules):
            self.add(table, chain, rule, first=first)

    def ensure_branch(
        self, table: str, base: str, chain: str, *, inside: Sequence[Rule], entries: Sequence[Rule], first: bool = False
    ) -> None:
        """Make a chain with the rules `inside`, and in `base` the rules `entries`, which lead to it.

        The rules of `base`, which may be many, are looked at only when the chain is there and something leads to it.
        """
        self.ensure_chain(table, base)
        self.ensure_chain(table, chain)
        self.ensure(table, chain, *inside)
        if not self.is_led_to(table, chain):
            entries = list(dict.fromkeys(entries))
        else:
            entries = self.missing(table, base, entries)
        for entry in entries:
            self.add(table, base, entry, first=first)

    def is_led_to(self, table: str, chain: str) -> bool:
        """Whether any rule jumps to the chain; found without looking at other chains."""
        found = self.chain(table, chain)
        return found is not None and found.use > len(self.rules(table, chain))

    def remove_branch(self, table: str, base: str, chain: str) -> None:
        """Remove a chain, and all rules of `base` that lead to it. Idempotent."""
        if self.chain(table, chain) is None:
            return
        for found in self.rules(table, base):
            if nftables_rule.leads_to(found, chain):
                self.delete(table, base, found)
        self.messages += nft.delete_chain(self.family, table, chain)

    def delete(self, table: str, chain: str, rule: Found) -> None:
        """Remove a rule."""
        self.messages.append(nft.delete_rule(self.family, table, chain, rule.handle))


@contextlib.contextmanager
def _shared() -> Iterator[Nftables]:
    """The socket for the namespace that the calling thread is in, for one thread at a time.

    It is kept: to close one waits, after a removal of rules, until the kernel has freed them (10 to 30 ms). And our own
    threads would only make each other's plans stale.
    """
    global _kept
    with _LOCK:
        with map_errors(OSError, Internal, "cannot tell the network namespace"):
            namespace = os.stat("/proc/thread-self/ns/net").st_ino
        # The socket keeps its namespace alive, so the number cannot come to mean another one.
        if _kept is None or _kept[0] != namespace:
            if _kept is not None:
                _kept[1].close()
            _kept = namespace, Nftables()
        try:
            yield _kept[1]
        except BaseException:  # perhaps in the middle of an answer
            _kept[1].close()
            _kept = None
            raise


def transact(family: int, plan: Callable[[Edit], None]) -> None:
    """Make `plan`, and perform it; when the rules have changed meanwhile, again from the start. Blocks.

    `plan` may thus run several times. Raises Internal, PermissionDenied, and Aborted when others never stop changing.
    """
    with _shared() as socket_:
        for _ in range(_TRIES):
            edit = Edit(socket_, family)
            generation = socket_.generation()
            plan(edit)
            if not edit.messages:
                return
            try:
                socket_.commit(generation, edit.messages)
            except _Stale:
                continue
            effect("packet filter")
            return
    raise Aborted("the packet filter's rules keep changing")


def existing_chains(table: str, name: str) -> list[int]:
    """The families (IPV4, IPV6) in which a chain of this name exists. Blocks for some 50 us."""
    with _shared() as socket_:
        return [family for family in (IPV4, IPV6) if socket_.chain(family, table, name) is not None]


def _failure(problem: int, words: str, what: str) -> CricketError:
    kind: type[CricketError] = PermissionDenied if problem in (errno.EPERM, errno.EACCES) else Internal
    failure = kind(f"cannot {what}")
    failure.__cause__ = OSError(problem, words or os.strerror(problem))
    return failure
