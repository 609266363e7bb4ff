"""`envgen doctor`: will these images run on those hosts, and why."""

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec

from envgen.commands.options import add_images
from envgen.console import Console
from envgen.cuda.fleet import host_from_flags, parse_fleet
from envgen.cuda.host import Host
from envgen.cuda.judge import judge
from envgen.cuda.kubernetes import parse_nodes
from envgen.cuda.probe import probe_host
from envgen.cuda.requirement import Requirement
from envgen.cuda.verdict import Outcome
from envgen.doctor.changes import Change, spec_changes
from envgen.doctor.report import Finding, describe, tabulate, to_data
from envgen.doctor.subjects import foreign_requirement, image_requirements, wheel_requirement
from envgen.doctor.suggest import Suggestion, known_frameworks, suggest_release
from envgen.errors import IncompatibleError, SpecError, StorageError, UsageError
from envgen.project import Project, open_project

EXAMPLES: Final = """\
  python -m envgen doctor                                  # on this machine
  python -m envgen doctor --driver 535.129.03 --gpu A100
  python -m envgen doctor --wheel torch==2.9.1+cu128 --driver 580 --gpu V100
  kubectl get nodes -o json | python -m envgen doctor --nodes -"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    parser.add_argument("--driver", metavar="VERSION", help="judge a host with this driver")
    parser.add_argument(
        "--gpu", action="append", metavar="MODEL", help="and with this GPU; may be repeated"
    )
    parser.add_argument(
        "--cdi", action="store_true", help="that injects GPUs by CDI, which enforces nothing"
    )
    hosts = parser.add_mutually_exclusive_group()
    hosts.add_argument("--fleet", type=Path, metavar="FILE", help="judge the pools of a TOML file")
    hosts.add_argument(
        "--nodes",
        type=Path,
        metavar="FILE",
        help="judge the nodes of `kubectl get nodes -o json`; - for standard input",
    )
    parser.add_argument(
        "--image", action="append", metavar="REF", help="judge a foreign image, not the spec's"
    )
    parser.add_argument(
        "--wheel", action="append", metavar="NAME==VERSION", help="judge a wheel by its table row"
    )
    parser.add_argument(
        "--suggest",
        nargs="?",
        const="",
        metavar="PACKAGE",
        help="name the newest release of a framework that runs on all hosts, and what of the spec "
        "has to change; the lock's own framework when not given",
    )
    parser.add_argument("--format", choices=["text", "markdown"], default="text")


def run(arguments: argparse.Namespace, console: Console) -> int:
    hosts = _find_hosts(arguments)
    if arguments.suggest is not None:
        return _suggest(arguments, hosts, console)
    findings = tuple(
        Finding(subject=requirement.name, host=host, verdict=judge(requirement, host))
        for requirement in _find_subjects(arguments)
        for host in hosts
    )
    markdown = arguments.format == "markdown"
    listed = len(hosts) == 1 and not markdown
    text = describe(findings) if listed else tabulate(findings, markdown=markdown)
    console.result(text, to_data(findings))
    failed = any(finding.verdict.outcome is Outcome.FAILS for finding in findings)
    return IncompatibleError.exit_code if failed else 0


def _suggest(arguments: argparse.Namespace, hosts: tuple[Host, ...], console: Console) -> int:
    project = _project_here(arguments.directory)
    package = arguments.suggest or _own_framework(project)
    if package not in known_frameworks():
        raise UsageError.single(
            f"no releases of {package!r} are known",
            fix="known are " + ", ".join(known_frameworks()),
        )
    found = suggest_release(package, hosts)
    changes = [spec_changes(project, each) if project else () for each in found]
    text = "\n".join(map(_describe_suggestion, found, changes))
    console.result(
        text or f"no known release of {package} runs on all of these hosts",
        [
            msgspec.to_builtins(each)
            | {"requirement": each.requirement, "spec": msgspec.to_builtins(wanted)}
            for each, wanted in zip(found, changes, strict=True)
        ],
    )
    return 0 if found else IncompatibleError.exit_code


def _own_framework(project: Project | None) -> str:
    """Return the first framework of the lock whose releases are known; else the first known."""
    locked = project.lock.images.values() if project else ()
    names = [name for image in locked for name in image.frameworks if name in known_frameworks()]
    return names[0] if names else known_frameworks()[0]


def _describe_suggestion(suggestion: Suggestion, changes: tuple[Change, ...]) -> str:
    lines = [f"{suggestion.requirement}: CUDA {suggestion.cuda}, {_source(suggestion)}"]
    lines += [f"  not {suggestion.newer}"] if suggestion.newer else []
    lines += [f"  in the spec: {change}" for change in changes]
    return "\n".join(lines)


def _source(suggestion: Suggestion) -> str:
    if not suggestion.variant:
        return "the wheel that PyPI serves"
    return f"from download.pytorch.org/whl/{suggestion.variant}"


def _find_hosts(arguments: argparse.Namespace) -> tuple[Host, ...]:
    if arguments.fleet:
        return parse_fleet(_read(arguments.fleet), str(arguments.fleet))
    if arguments.nodes:
        return parse_nodes(_read(arguments.nodes))
    if arguments.driver:
        gpus = arguments.gpu or ()
        name = " with ".join([f"driver {arguments.driver}", *filter(None, [", ".join(gpus)])])
        host = host_from_flags(
            arguments.driver, gpus, name=name, injection="cdi" if arguments.cdi else "hook"
        )
        return (host,)
    return (probe_host(),)


def _find_subjects(arguments: argparse.Namespace) -> tuple[Requirement, ...]:
    foreign: list[str] = arguments.image or []
    wheels: list[str] = arguments.wheel or []
    if not (foreign or wheels):
        return image_requirements(open_project(arguments.directory, arguments.images))
    project = _project_here(arguments.directory) if foreign else None
    return (
        *(foreign_requirement(reference, project) for reference in foreign),
        *(wheel_requirement(text) for text in wheels),
    )


def _project_here(directory: Path) -> Project | None:
    """Return the project whose mirrors and certificates are used, where there is one."""
    try:
        return open_project(directory, ())
    except SpecError:
        return None


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=str(path), why=error.strerror or str(error)
        ) from error
