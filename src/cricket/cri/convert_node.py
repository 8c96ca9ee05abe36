"""The node's status."""

from __future__ import annotations

import msgspec

from cricket._proto.cri import api_pb2 as pb
from cricket.types.node import HandlerInfo, NodeStatus


def node_status(status: NodeStatus, verbose: bool) -> pb.StatusResponse:
    """`StatusResponse`. The default handler "" is always among the handlers; its features are the first's."""
    handlers = status.handlers
    if handlers and all(h.name for h in handlers):
        handlers = (msgspec.structs.replace(handlers[0], name=""), *handlers)
    return pb.StatusResponse(
        status=pb.RuntimeStatus(
            conditions=[
                pb.RuntimeCondition(type=c.type, status=c.status, reason=c.reason, message=c.message)
                for c in status.conditions
            ]
        ),
        info=status.info if verbose else {},
        runtime_handlers=[_handler(h) for h in handlers],
        features=pb.RuntimeFeatures(
            supplemental_groups_policy=status.supplemental_groups_policy,
            user_namespaces_host_network=status.user_namespaces_host_network,
            mount_options=status.mount_options,
        ),
    )


def _handler(handler: HandlerInfo) -> pb.RuntimeHandler:
    return pb.RuntimeHandler(
        name=handler.name,
        features=pb.RuntimeHandlerFeatures(
            recursive_read_only_mounts=handler.recursive_read_only_mounts,
            user_namespaces=handler.user_namespaces,
        ),
    )
