"""What `train` of SageMaker hands on to the image's own command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from envgen_runtime.sagemaker import describe_job, make_command

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **documents: Any) -> str:
    config = folder / "input" / "config"
    config.mkdir(parents=True)
    for name, document in documents.items():
        (config / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return str(folder)


def test_job_without_configuration_runs_the_command_alone(tmp_path: Path) -> None:
    env, words = make_command(["python", "train.py"], write(tmp_path))

    assert words[-3:] == ["--", "python", "train.py"]
    assert env["SM_MODEL_DIR"] == f"{tmp_path}/model"


def test_hyper_parameters_are_options_and_are_recorded(tmp_path: Path) -> None:
    given = {"epochs": "3", "optimizer": '"adam"', "flag": "true", "sagemaker_program": "x"}
    folder = write(tmp_path, hyperparameters=given)

    _, words = make_command(["train"], folder)

    assert words[words.index("--") + 1 :] == [
        *("train", "--epochs", "3", "--optimizer", "adam", "--flag", "true")
    ]
    assert words[words.index("--parameters") + 1] == f"{folder}/input/config/hyperparameters.json"
    assert words[words.index("--output") + 1] == f"{folder}/output/data/run.json"


def test_channels_and_hosts_are_variables(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        inputdataconfig={"train-set": {}, "validation": {}},
        resourceconfig={"hosts": ["algo-1", "algo-2"], "current_host": "algo-2"},
    )

    env, _ = describe_job(folder)

    assert env["SM_CHANNEL_TRAIN_SET"] == f"{folder}/input/data/train-set"
    assert env["SM_CHANNEL_VALIDATION"] == f"{folder}/input/data/validation"
    assert (env["SM_HOSTS"], env["SM_CURRENT_HOST"]) == ('["algo-1", "algo-2"]', "algo-2")
