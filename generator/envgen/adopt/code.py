"""What Python code says about its environment: what it imports, serves, starts, and CUDA."""

import ast
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

_FILES_AT_MOST: Final = 500
"""More is not the code of one service, and nobody waits for a first spec."""
_BYTES_AT_MOST: Final = 1_000_000
_PASSED_OVER: Final = {
    *("__pycache__", "build", "dist", "docs", "env", "environments", "examples"),
    *("node_modules", "site-packages", "test", "tests", "venv"),
}
_NO_PART: Final = ("conftest.py", "noxfile.py", "setup.py", "tasks.py")
_WEB: Final = {"FastAPI", "Starlette"}


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a folder.

    Attributes:
        files: The files that were read, relative to the folder.
        imports: Top-level modules that are neither Python's nor the folder's, and where.
        own: Files and folders of the folder that its code imports, as `copy` names them.
        app: The ASGI application, as uvicorn names it; empty for none.
        scripts: Files at the top that run something when they are started.
        cuda: Where the code names CUDA, as `train.py:12`; empty for nowhere.

    """

    files: tuple[str, ...] = ()
    imports: dict[str, str] = {}
    own: tuple[str, ...] = ()
    app: str = ""
    scripts: tuple[str, ...] = ()
    cuda: str = ""


def read_code(folder: Path) -> Code:
    """Return what the Python files of a folder say. What cannot be parsed is passed over."""
    files: list[str] = []
    imports: dict[str, str] = {}
    own: dict[str, None] = {}
    apps: list[str] = []
    scripts: list[str] = []
    cuda: list[str] = []
    for path in _list_files(folder):
        tree = _parse(path)
        if tree is None:
            continue
        name = path.relative_to(folder).as_posix()
        files.append(name)
        for module, line in _imported(tree):
            local = _find_own(module, path, folder)
            if local:
                own[local] = None
            elif module not in sys.stdlib_module_names:
                imports.setdefault(module, f"{name}:{line}")
        apps += [f"{_module(name)}:{app}" for app in _applications(tree)]
        cuda += [f"{name}:{line}" for line in _names_cuda(tree)]
        if "/" not in name and _is_script(tree):
            scripts.append(name)
    return Code(
        files=tuple(files),
        imports=imports,
        own=tuple(own),
        # A main module among several is the one that is served.
        app=min(apps, key=lambda app: ("main:" not in app, len(app)), default=""),
        scripts=tuple(scripts),
        cuda=next(iter(cuda), ""),
    )


def _list_files(folder: Path) -> Iterator[Path]:
    count = 0
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _PASSED_OVER
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if not name.endswith(".py") or name.startswith("test_") or name in _NO_PART:
                continue
            if count == _FILES_AT_MOST:
                return
            count += 1
            yield here / name


def _parse(path: Path) -> ast.Module | None:
    try:
        if path.stat().st_size > _BYTES_AT_MOST:
            return None
        with warnings.catch_warnings():
            # What Python thinks of somebody else's escapes is not for this user.
            warnings.simplefilter("ignore")
            return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno


def _find_own(module: str, importer: Path, folder: Path) -> str:
    """Return what has to be copied for a module of the folder; empty where it is none."""
    for base in (folder, importer.parent, folder / "src"):
        for found in (base / f"{module}.py", base / module):
            if found.is_file() or (found.is_dir() and any(found.rglob("*.py"))):
                first = found.relative_to(folder).parts[0]
                return f"{first}/" if (folder / first).is_dir() else first
    return ""


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _applications(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        targets: list[ast.expr] = [node.target] if isinstance(node, ast.AnnAssign) else []
        targets += node.targets if isinstance(node, ast.Assign) else []
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call) and _last_name(value.func) in _WEB:
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _names_cuda(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        named = node.attr if isinstance(node, ast.Attribute) else ""
        if isinstance(node, ast.Constant):
            named = str(node.value)
        if isinstance(node, ast.expr) and re.fullmatch(r"cuda(:.*)?", named):
            yield node.lineno


def _is_script(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and _last_name(node.test.left) == "__name__"
        for node in tree.body
    )
