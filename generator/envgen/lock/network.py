"""What the spec and this machine say of the network: certificates and mirrors."""

import os
from pathlib import Path

from envgen.spec.load import LoadedSpec


def find_ca_certificates(loaded: LoadedSpec) -> Path | None:
    """Return the CA bundle of the spec's network, if it names one."""
    named = loaded.spec.network.ca_certificates
    return loaded.root / named if named else None


def find_mirrors(loaded: LoadedSpec) -> dict[str, str]:
    """Return the registries that digests are looked up at instead: the machine's go first."""
    return {**loaded.spec.network.registry_mirrors, **environment_mirrors()}


def environment_mirrors() -> dict[str, str]:
    """Return the mirrors of ENVGEN_REGISTRY_MIRRORS, as `docker.io=mirror:5000,ghcr.io=…`.

    They are this machine's: digests are looked up there, and nothing that is rendered names them.
    """
    text = os.environ.get("ENVGEN_REGISTRY_MIRRORS", "")
    pairs = (entry.partition("=") for entry in text.split(",") if "=" in entry)
    return {name.strip(): host.strip() for name, _, host in pairs}
