"""Copy this Python, without its packages, and the libraries of it that another image has not.

    python3 python.py /bare /out

It runs in a stage of the image's build, where nothing of envgen is, in the image that has the
Python: the standard library, and ldd. Both images are GNU systems, and the other one's glibc is not
older.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# A process has one of each, the loader's own; all are glibc's.
GLIBC = re.compile(
    r"(?:ld-linux.*|lib(?:anl|c|dl|m|mvec|nss_.*|pthread|resolv|rt|thread_db|util))\.so(\..*)?"
)
LIBRARIES = "usr/local/lib/python-libraries"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
LEFT_OUT = shutil.ignore_patterns(
    "site-packages", "dist-packages", "ensurepip", "__pycache__", "EXTERNALLY-MANAGED"
)


def main(bare: str, out: str) -> None:
    stdlib = sysconfig.get_path("stdlib")
    shutil.copytree(stdlib, out + stdlib, symlinks=True, ignore=LEFT_OUT)
    for name in ("site-packages", "dist-packages"):
        if Path(stdlib, name).is_dir():
            Path(out + stdlib, name).mkdir()
    copy_programs(Path(out))
    wanted = [os.path.realpath(sys.executable)]
    wanted += [str(path) for path in Path(stdlib, "lib-dynload").glob("*.so")]
    for name, path in sorted(find_libraries(wanted).items()):
        if not has_library(Path(bare), name):
            copy_library(path, name, Path(out))
    configure = Path(out, "etc/ld.so.conf.d/zz-python.conf")
    configure.parent.mkdir(parents=True, exist_ok=True)
    # The name sorts last: what the image has itself goes first.
    configure.write_text(f"/{LIBRARIES}\n", encoding="ascii")
    if not os.path.lexists(bare + CERTIFICATES):
        for folder in ("/etc/ssl", "/usr/lib/ssl", "/usr/share/ca-certificates"):
            if Path(folder).is_dir():
                shutil.copytree(
                    folder, out + folder, symlinks=True, ignore=shutil.ignore_patterns("private")
                )


def copy_programs(out: Path) -> None:
    """Copy the interpreter and its names, which are links to it."""
    names = ("python", "python3", f"python3.{sys.version_info.minor}")
    programs = [Path(folder, name) for folder in ("/usr/local/bin", "/usr/bin") for name in names]
    for path in (Path(os.path.realpath(sys.executable)), *programs):
        target = out / path.relative_to("/")
        if os.path.lexists(path) and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)


def find_libraries(files: list[str]) -> dict[str, str]:
    """Return the libraries that files load, by name, with where each is."""
    done = subprocess.run(["ldd", *files], capture_output=True, text=True, check=True)  # noqa: TID251 - envgen is not there
    found = re.findall(r"^\s+(\S+) => (/\S+) \(", done.stdout, re.MULTILINE)
    return {name: path for name, path in found if not GLIBC.fullmatch(name)}


def has_library(root: Path, name: str) -> bool:
    folders = [
        root / "usr" / "lib",
        *root.glob("usr/lib/*-linux-gnu"),
        *root.glob("lib/*-linux-gnu"),
    ]
    return any(os.path.lexists(folder / name) for folder in folders)


def copy_library(path: str, name: str, out: Path) -> None:
    """Copy a library under its name; one that Python itself brings stays where it is."""
    own = path.startswith("/usr/local/lib/")
    target = out / (path.lstrip("/") if own else f"{LIBRARIES}/{name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(os.path.realpath(path), target)
    target.chmod(0o644)


if __name__ == "__main__":
    main(*sys.argv[1:])
