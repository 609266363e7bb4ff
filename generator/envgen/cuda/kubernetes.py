"""Hosts from Kubernetes node labels, as NVIDIA's GPU feature discovery writes them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Gpu, Host
from envgen.cuda.version import Version, find_version, parse_version
from envgen.errors import UsageError

PREFIX: Final = "nvidia.com/"
_SLICED: Final = re.compile(r"-MIG-\d+(?:c\.\d+)?g\.\d+gb.*|-SHARED$", re.IGNORECASE)


def parse_nodes(text: str) -> tuple[Host, ...]:
    """Return the nodes with a GPU of `kubectl get nodes -o json`; alike ones once.

    Raises:
        UsageError: It is not that.

    """
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
        nodes = [node["metadata"] for node in document["items"]]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise UsageError.single(
            "this is not a list of Kubernetes nodes",
            why=str(error),
            fix="write it with `kubectl get nodes -o json`",
        ) from error
    hosts = (read_labels(node.get("name", ""), node.get("labels", {})) for node in nodes)
    return merge_hosts(host for host in hosts if host)


def read_labels(name: str, labels: Mapping[str, str]) -> Host | None:
    """Return the host that a node's labels describe; None for a node without an NVIDIA GPU."""
    product = labels.get(PREFIX + "gpu.product", "")
    driver = _joined(labels, "cuda.driver-version", "major", "minor", "revision") or _joined(
        labels, "cuda.driver", "major", "minor", "rev"
    )
    if not product and driver is None:
        return None
    cuda = _joined(labels, "cuda.runtime-version", "major", "minor") or _joined(
        labels, "cuda.runtime", "major", "minor"
    )
    return Host(name=name, driver=driver, cuda=cuda, gpus=(_gpu(product, labels),))


def _joined(labels: Mapping[str, str], name: str, *parts: str) -> Version | None:
    """Return the version that is spread over labels, or stands in one that ends in `.full`."""
    full = find_version(labels.get(f"{PREFIX}{name}.full", ""))
    if full:
        return full
    found = [labels.get(f"{PREFIX}{name}.{part}", "") for part in parts]
    text = ".".join(part for part in found if part)
    return parse_version(text) if re.fullmatch(r"\d+(\.\d+)*", text) else None


def _gpu(product: str, labels: Mapping[str, str]) -> Gpu:
    name = _SLICED.sub("", product)
    gpu = find_gpu(name.replace("-", " ")) or Gpu()
    major, minor = (labels.get(f"{PREFIX}gpu.compute.{part}", "") for part in ("major", "minor"))
    labelled = (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
    count = labels.get(PREFIX + "gpu.count", "")
    return msgspec.structs.replace(
        gpu,
        name=name,
        capability=labelled or gpu.capability,
        count=int(count) if count.isdigit() else 1,
        mig="MIG" in product or labels.get(PREFIX + "mig.strategy") in {"single", "mixed"},
    )


def merge_hosts(hosts: Iterable[Host]) -> tuple[Host, ...]:
    """Return hosts that are alike once each, named after all of them."""
    groups: dict[Host, list[str]] = {}
    for host in hosts:
        groups.setdefault(msgspec.structs.replace(host, name=""), []).append(host.name)
    return tuple(
        msgspec.structs.replace(host, name=", ".join(names)) for host, names in groups.items()
    )
