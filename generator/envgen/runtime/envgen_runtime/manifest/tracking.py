"""Tell the experiment tracker of the program's own choosing, where one is in use."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from envgen_runtime.manifest.environment import DIGEST
from envgen_runtime.state import lock_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def track(parameters: Mapping[str, Any]) -> list[str]:
    """Write parameters and the environment's identity to active runs; return whose they are.

    Only a tracker that the program has imported and a run that it has started: starting one is the
    program's decision. A tracker that does not answer must not end the training.
    """
    tags = {"envgen.lock": lock_hash(), "envgen.image-digest": os.environ.get(DIGEST, "")}
    tags = {name: value for name, value in tags.items() if value}
    took = []
    mlflow = sys.modules.get("mlflow")
    with suppress(Exception):
        if mlflow is not None and mlflow.active_run() is not None:
            mlflow.log_params(dict(parameters))
            mlflow.set_tags(tags)
            took.append("mlflow")
    wandb = sys.modules.get("wandb")
    with suppress(Exception):
        if wandb is not None and wandb.run is not None:
            wandb.config.update({**parameters, **tags}, allow_val_change=True)
            took.append("wandb")
    return took
