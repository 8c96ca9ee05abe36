"""Fields that Kubernetes knows and the agent does not: what it says about each. Nothing is dropped without a word.

`UNSUPPORTED`: a pod with it would not be what its author wanted, so it is an error. `IGNORED`: it speaks to the
scheduler or a controller, and there is only this node, so it is a warning. `SILENT`: what the API server
adds when it prints, or what changes nothing.
"""

from __future__ import annotations

from typing import Any

from cricket.kubelet.model import container, env, objects, pod, security, volume, workload
from cricket.kubelet.model.base import ObjectMeta

_WINDOWS = "it is for Windows"
_NODE = "there is only this node"
_API = "there is no API server"
_DEVICES = "devices are not handed out here"
_STORAGE = "this volume needs a driver; use hostPath or a claim"
_UPDATE = "a change replaces all pods"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNSUPPORTED: dict[type[Any], dict[str, str]] = {
    pod.PodSpec: {
        "ephemeralContainers": "they are added to running pods; use `cricket exec`",
        "resourceClaims": _DEVICES,
        "readinessGates": "no controller would ever set the condition",
        "schedulingGates": "nothing would ever open them",
    },
    container.Container: {
        "volumeDevices": "block devices are not handed out here",
    },
    container.ResourceRequirements: {"claims": _DEVICES},
    env.EnvVarSource: {"fileKeyRef": "use configMapKeyRef or secretKeyRef"},
    volume.Projection: {
        "serviceAccountToken": "there is no API server that would sign a token",
        "clusterTrustBundle": _API,
        "podCertificate": _API,
    },
    volume.Volume: {
        **dict.fromkeys(
            _words("""gcePersistentDisk awsElasticBlockStore nfs iscsi glusterfs rbd flexVolume cinder cephfs flocker fc
                azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO storageos csi"""),
            _STORAGE,
        ),
        "gitRepo": "use an init container that clones",
        "ephemeral": "use emptyDir or a claim",
    },
    security.PodSecurityContext: {"windowsOptions": _WINDOWS},
    security.SecurityContext: {"windowsOptions": _WINDOWS},
    objects.ClaimSpec: {
        "selector": "there are no volumes to choose from",
        "dataSource": "a claim begins as an empty directory",
        "dataSourceRef": "a claim begins as an empty directory",
    },
    workload.JobSpec: {
        "podFailurePolicy": "only backoffLimit",
        "successPolicy": "a Job is done when all its pods are",
        "backoffLimitPerIndex": "only backoffLimit",
        "maxFailedIndexes": "only backoffLimit",
    },
}

IGNORED: dict[type[Any], dict[str, str]] = {
    ObjectMeta: {"ownerReferences": _API, "finalizers": _API},
    pod.PodSpec: {
        **dict.fromkeys(("nodeSelector", "affinity", "topologySpreadConstraints", "schedulerName"), _NODE),
        **dict.fromkeys(("workloadRef", "schedulingGroup"), _NODE),
        "nodeName": "every pod runs on this node",
        "serviceAccountName": "there is no API server that would know it",
        "automountServiceAccountToken": "there is no API server that would sign a token",
    },
    security.PodSecurityContext: {"seLinuxChangePolicy": "volumes are not relabelled"},
    objects.ClaimSpec: {"volumeAttributesClassName": "a claim is a directory of this node"},
    workload.DeploymentSpec: {
        "strategy": _UPDATE,
        "minReadySeconds": _UPDATE,
        "progressDeadlineSeconds": _UPDATE,
    },
    workload.DaemonSetSpec: {"updateStrategy": _UPDATE, "minReadySeconds": _UPDATE},
    workload.StatefulSetSpec: {
        "updateStrategy": _UPDATE,
        "minReadySeconds": _UPDATE,
        "persistentVolumeClaimRetentionPolicy": "claims are kept",
    },
    workload.JobSpec: {
        "manualSelector": _API,
        "podReplacementPolicy": _API,
        "managedBy": _API,
    },
}

SILENT: dict[type[Any], frozenset[str]] = {
    ObjectMeta: _words("""selfLink resourceVersion generation creationTimestamp deletionTimestamp clusterName
        deletionGracePeriodSeconds managedFields"""),
    pod.PodSpec: _words("serviceAccount enableServiceLinks preemptionPolicy tolerations"),
    workload.DeploymentSpec: _words("revisionHistoryLimit"),
    workload.DaemonSetSpec: _words("revisionHistoryLimit"),
    workload.StatefulSetSpec: _words("revisionHistoryLimit"),
}
