"""`train` of Amazon SageMaker: its folders and hyper-parameters as a program expects them.

SageMaker starts `IMAGE train` with everything under /opt/ml (its guide, "How Amazon SageMaker AI
runs your training image"). The names of the variables are those of its own training toolkit.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "/opt/ml"
RECORD = "output/data/run.json"


def describe_job(folder: str = FOLDER) -> tuple[dict[str, str], list[str]]:
    """Return the variables and the options that a training job gives its program."""
    config = os.path.join(folder, "input", "config")
    resources = _read(os.path.join(config, "resourceconfig.json"))
    env = {
        "SM_MODEL_DIR": os.path.join(folder, "model"),
        "SM_OUTPUT_DATA_DIR": os.path.join(folder, "output", "data"),
    }
    for name in sorted(_read(os.path.join(config, "inputdataconfig.json"))):
        variable = "SM_CHANNEL_" + "".join(c if c.isalnum() else "_" for c in name.upper())
        env[variable] = os.path.join(folder, "input", "data", name)
    if "hosts" in resources:
        env["SM_HOSTS"] = json.dumps(resources["hosts"])
        env["SM_CURRENT_HOST"] = str(resources.get("current_host", ""))
    options = []
    for name, value in _read(os.path.join(config, "hyperparameters.json")).items():
        if not name.startswith("sagemaker_"):  # the SDK's own
            options += [f"--{name}", _decode(value)]
    return env, options


def make_command(command: list[str], folder: str = FOLDER) -> tuple[dict[str, str], list[str]]:
    """Return the variables and the words that run a program and record what it ran with."""
    env, options = describe_job(folder)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    words = [os.path.join(root, "bin", "envgen-run"), "--output", os.path.join(folder, RECORD)]
    parameters = os.path.join(folder, "input", "config", "hyperparameters.json")
    if os.path.exists(parameters):
        words += ["--parameters", parameters]
    return env, [*words, "--", *command, *options]


def _read(path: str) -> dict[str, Any]:
    """Return an object of a JSON file; an empty one where there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _decode(value: object) -> str:
    """Return a hyper-parameter as a word. Some SDKs write texts as JSON, within JSON."""
    text = str(value)
    try:
        decoded = json.loads(text)
    except ValueError:
        return text
    return decoded if isinstance(decoded, str) else text


def main(command: list[str]) -> int:
    """Become the program."""
    env, words = make_command(command)
    os.makedirs(os.path.join(FOLDER, os.path.dirname(RECORD)), exist_ok=True)
    os.execve(words[0], words, {**os.environ, **env})  # noqa: S606 there is no shell, on purpose


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    raise SystemExit(main(sys.argv[1:]))
