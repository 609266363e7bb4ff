"""What kustomize makes of a base and a strategic merge patch, as far as rendered files need it.

Merging follows Kubernetes' API conventions ("Strategic Merge Patch"): objects by key, `null` takes
away, and the lists below by the key that their items have.
"""

from typing import Any, Final

_MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}


def merge(base: Any, patch: Any, field: str = "") -> Any:  # noqa: ANN401 - any YAML
    """Return a document with a patch applied."""
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = dict(base)
        for key, value in patch.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(merged.get(key), value, key)
        return merged
    if isinstance(base, list) and isinstance(patch, list) and field in _MERGE_KEYS:
        return _merge_lists(base, patch, _MERGE_KEYS[field])
    return patch


def _merge_lists(base: list[Any], patch: list[Any], key: str) -> list[Any]:
    merged = {item.get(key): item for item in base}
    for item in patch:
        if item.get("$patch") == "delete":
            merged.pop(item.get(key), None)
        else:
            merged[item.get(key)] = merge(merged.get(item.get(key), {}), item)
    return list(merged.values())
