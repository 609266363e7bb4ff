"""A Dockerfile: its Python, what it installs, and that a GPU is meant. The rest is listed."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from envgen.adopt.found import Gathering, read_text
from envgen.adopt.requirements import read_requirement_lines

DOCKERFILE: Final = "Dockerfile"
_GPU_BASE: Final = re.compile(r"nvidia/|cuda", re.IGNORECASE)
_WITH_VALUE: Final = {
    *("-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url"),
    *("-e", "--editable", "-f", "--find-links", "--trusted-host"),
}
"""Options of pip that take the word after them, and say something about the environment."""
_TOOLS: Final = {"pip", "setuptools", "wheel"}


def read_dockerfile(gathering: Gathering) -> None:
    """Gather a Dockerfile."""
    rest: list[str] = []
    for instruction, argument in _instructions(read_text(gathering.path)):
        if instruction == "FROM":
            _read_base(gathering, argument)
        elif instruction == "RUN":
            rest += _read_run(gathering, argument)
        elif instruction == "EXPOSE" and re.fullmatch(r"[0-9]+(/tcp)?", argument):
            gathering.port = int(argument.partition("/")[0])
        elif instruction == "CMD" and argument.startswith("["):
            gathering.command = _words(argument)
        elif instruction not in {"WORKDIR", "USER", "LABEL"}:
            rest.append(f"{instruction} {argument}")
    for line in rest:
        gathering.leave(
            line,
            why="a spec says what an image holds, not by which steps",
            fix="see whether the image needs it: `copy` for files, `env` for variables",
        )


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\s*\n", " ", "\n".join(lines))
    for line in joined.splitlines():
        instruction, _, argument = line.strip().partition(" ")
        if instruction:
            yield instruction.upper(), " ".join(argument.split())


def _read_base(gathering: Gathering, argument: str) -> None:
    image = next((word for word in argument.split() if not word.startswith("--")), "")
    python = re.search(r"(?:^|/)python:(3\.[0-9]+)", image)
    if python:
        gathering.python = python[1]
    gathering.gpu = gathering.gpu or _GPU_BASE.search(image) is not None


def _read_run(gathering: Gathering, argument: str) -> Iterator[str]:
    """Take what a RUN installs, and yield the commands that do something else."""
    for command in re.split(r"&&|\|\||;", argument):
        try:
            words = shlex.split(command)
        except ValueError:
            words = []
        if "install" not in words:
            # Updating lists and clearing caches says nothing about the environment.
            if words and words[0] not in {"apt", "apt-get", "rm", "set"}:
                yield f"RUN {command.strip()}"
            continue
        rest = words[words.index("install") + 1 :]
        program = words[: words.index("install")]
        if any(re.fullmatch(r"(.*/)?pip[0-9.]*", word) for word in program):
            _read_pip(gathering, rest)
        elif any(word in {"apt", "apt-get"} for word in program):
            _leave_apt(gathering, [word for word in rest if not word.startswith("-")])
        else:
            yield f"RUN {command.strip()}"


def _read_pip(gathering: Gathering, words: Sequence[str]) -> None:
    where = gathering.path.name
    remaining = iter(words)
    for word in remaining:
        value = next(remaining, "") if word in _WITH_VALUE else ""
        if word in {"-r", "--requirement"} and not (gathering.path.parent / value).is_file():
            gathering.leave(f"pip install -r {value}", why="there is no such file here")
        elif value:
            read_requirement_lines(gathering, f"{word} {value}", where)
        elif not word.startswith("-") and word not in _TOOLS:
            read_requirement_lines(gathering, word, where)


def _leave_apt(gathering: Gathering, names: Sequence[str]) -> None:
    listed = ", ".join(json.dumps(name) for name in names)
    gathering.leave_group(
        "system packages",
        names,
        why="many are for building only, and wheels bring what they need",
        fix=f"write those that are needed at run time into the image: apt = [{listed}]",
    )


def _words(argument: str) -> tuple[str, ...]:
    try:
        found = json.loads(argument)
    except ValueError:
        return ()
    return tuple(found) if all(isinstance(word, str) for word in found) else ()
