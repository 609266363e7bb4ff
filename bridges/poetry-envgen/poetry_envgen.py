"""`poetry envgen render`: envgen's commands on the project that poetry is run for."""

import sys
from typing import ClassVar

from cleo.helpers import argument
from cleo.io.inputs.argument import Argument
from poetry.console.application import Application
from poetry.console.commands.command import Command
from poetry.plugins.application_plugin import ApplicationPlugin

_NAME = "envgen"


class EnvgenCommand(Command):
    """Hands everything behind its name to envgen, whose options poetry need not know."""

    name = _NAME
    description = "Runs a command of envgen on this project."
    help = "What stands behind <c1>envgen</> is envgen's: <c1>poetry envgen render --check</>"
    arguments: ClassVar[list[Argument]] = [
        argument("words", "The command and its options.", optional=True, multiple=True)
    ]

    def configure(self) -> None:
        super().configure()
        self.ignore_validation_errors()

    def handle(self) -> int:
        from envgen.cli import run  # noqa: PLC0415 - poetry loads this module for every command

        root = self.poetry.file.path.parent
        # poetry sorts its own options to the front of what it parses; these are as they were given.
        command, *rest = sys.argv[sys.argv.index(_NAME) + 1 :] or ["--help"]
        try:
            return run([command, *(() if command.startswith("-") else ("-C", str(root))), *rest])
        except SystemExit as end:  # argparse: help, or a word that it does not know
            return end.code if isinstance(end.code, int) else 2


class EnvgenPlugin(ApplicationPlugin):
    """What poetry looks for."""

    def activate(self, application: Application) -> None:
        application.command_loader.register_factory(_NAME, EnvgenCommand)
