"""The command line of `envgen-run`, parsed by hand: argparse takes as long as all the rest."""

from __future__ import annotations

USAGE = """\
usage: envgen-run [--output FILE] [--data WHAT]... [--parameters FILE]... -- COMMAND...

Runs the command and writes what it ran with to run.json.
  --output FILE      where to (default: run.json; a file that exists is kept, and run.2.json made)
  --data WHAT        a file or folder, which is hashed; a .dvc file; s3://BUCKET/KEY@VERSION; or
                     NAME@VERSION of a registry. May be repeated
  --parameters FILE  hyper-parameters: JSON, or TOML from Python 3.11 on. May be repeated"""


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.output = "run.json"
        self.data: list[str] = []
        self.parameters: list[str] = []
        self.command: list[str] = []


def parse(arguments: list[str]) -> Options | str:
    """Return the options, or what is wrong with them."""
    options = Options()
    rest = list(arguments)
    while rest and rest[0] != "--" and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        if name in ("-h", "--help"):
            return USAGE
        if name not in ("--output", "--data", "--parameters"):
            return f"envgen-run: there is no option {name}\n{USAGE}"
        if not equals:
            if not rest:
                return f"envgen-run: {name} needs a value\n{USAGE}"
            value = rest.pop(0)
        if name == "--output":
            options.output = value
        else:
            getattr(options, name[2:]).append(value)
    options.command = rest[1:] if rest[:1] == ["--"] else rest
    if not options.command:
        return f"envgen-run: there is no command\n{USAGE}"
    return options
