"""What a text has to look like, by the form that `spec.model` declares for it.

A form is a function from the text to the `Fault` in it, or None. Values travel from here into
Dockerfiles, ignore files and TOML, so whatever could end a line or a comment there is refused here
once, and the places where values are written quote the rest.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from envgen.plugins import Group


class Fault(NamedTuple):
    """What is wrong with a value, why, and what would be right."""

    what: str
    why: str = ""
    fix: str = ""


_NEVER_COPIED = re.compile(r"(?<![^/])(?:\.git|\.env|__pycache__)(?![^/])|[^/]*\.pyc(?![^/])")
"""What the ignore file of every image (templates/*/Dockerfile.dockerignore.j2) keeps out."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SIMPLE_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
    r"(?:\[[a-z0-9]+(?:-[a-z0-9]+)*(?:,[a-z0-9]+(?:-[a-z0-9]+)*)*\])?"
    r"(?: ?(?:>=|<=|==|!=|>|<)[0-9]+(?:\.[0-9]+)*(?:,(?:>=|<=|==|!=|>|<)[0-9]+(?:\.[0-9]+)*)*)?"
)


def check_text(text: str) -> Fault | None:
    """Refuse what could end the line that the text is written on."""
    found = _CONTROL.search(text)
    if found is None:
        return None
    return Fault(
        f"holds the control character {found[0]!r}",
        why="it would end the line it is written on in a Dockerfile",
        fix="leave it out; longer texts belong into a file that `copy` names",
    )


def check_image_name(text: str) -> Fault | None:
    if re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", text) and len(text) <= 63:
        return None
    return Fault(
        f"{text!r} cannot name an image",
        why="the name becomes a folder, a stage and a Kubernetes name (RFC 1123 label)",
        fix="use up to 63 lower-case letters, digits and single hyphens, as `train-gpu`",
    )


def check_project_name(text: str) -> Fault | None:
    if _NAME.fullmatch(text):
        return None
    return Fault(
        f"{text!r} cannot name a project",
        why="package names are ASCII letters, digits, '-', '_' and '.'",
        fix=f"as {_suggest_name(text)!r}",
    )


def _suggest_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "my-project"


def check_package_name(text: str) -> Fault | None:
    if _NAME.fullmatch(text):
        return None
    return Fault(f"{text!r} is not a package name", fix="write the bare name, as 'numpy'")


def check_agreed_package(text: str) -> Fault | None:
    fault = None if text == "*" else check_package_name(text)
    return fault and fault._replace(fix=f'{fault.fix}, or "*" for every shared package')


def check_python_version(text: str) -> Fault | None:
    if re.fullmatch(r"3\.(?:0|[1-9][0-9]?)", text):
        return None
    if re.fullmatch(r"3\.[0-9]{1,2}\.[0-9]+", text):
        return Fault(
            f"{text!r} names a patch level",
            why="the patch level comes with the base image, which is pinned by digest",
            fix=f'write "{text.rpartition(".")[0]}"',
        )
    return Fault(
        f"{text!r} is not a Python version",
        why="an image has one interpreter, so a range cannot be kept",
        fix='write major and minor version, as "3.13"',
    )


def check_requirement(text: str) -> Fault | None:
    """Refuse what PEP 508 does not allow, and direct references that may change.

    The usual `name>=1,<2` is recognised without importing packaging, which costs as much as the
    rest of a check together.
    """
    if _SIMPLE_REQUIREMENT.fullmatch(text):
        return None
    return check_text(text) or _check_reference(text) or _check_pep508(text)


_GIT: Final = re.compile(
    r"[^@]+@ *git\+https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._~/-]+"
    r"(?:@[A-Za-z0-9._/-]+)?(?:#subdirectory=[A-Za-z0-9._/-]+)?(?: +;.*)?"
)


def _check_reference(text: str) -> Fault | None:
    """Refuse direct references but for git's: a commit's name is made of its content."""
    if ("://" not in text and "@" not in text.partition(";")[0]) or _GIT.fullmatch(text):
        return None
    if re.search(r"git\+(?:ssh:|[^/]*@)|://[^/]*@", text):
        return Fault(
            "points to a repository with a login",
            why="the spec is committed, and builds have none of this machine's keys",
            fix="as 'NAME @ git+https://git.example/team/name@v1.0'",
        )
    return Fault(
        f"{text!r} is a direct reference",
        why="what a URL serves may be other files tomorrow",
        fix="name a version of a package on the index, as 'torch>=2.9', or a commit or tag of a\n"
        "repository, as 'NAME @ git+https://git.example/team/name@v1.0'",
    )


def _check_pep508(text: str) -> Fault | None:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - see above

    try:
        Requirement(text)
    except InvalidRequirement as error:
        return Fault(
            f"{text!r} is not a PEP 508 requirement",
            why=str(error).splitlines()[0],
            fix="as 'torch>=2.9,<2.11', 'uvicorn[standard]' or 'numpy; python_version < \"3.13\"'",
        )
    return None


BASE_WORDS: Final = ("auto", "slim", "cuda-base", "cuda-runtime", "cuda-cudnn-runtime")
"""What an image's base may be beside an image reference."""


def check_base(text: str) -> Fault | None:
    """Refuse what is neither a keyword nor an image reference."""
    if text in BASE_WORDS:
        return None
    if text == "cuda-devel":
        return Fault(
            "images do not stand on the CUDA toolkit",
            why="its compilers and headers are for building, and add gigabytes",
            fix='"cuda-runtime" or "cuda-cudnn-runtime", or the reference of a devel image',
        )
    from envgen.registry.reference import parse_reference  # noqa: PLC0415 - rarely needed

    try:
        parse_reference(text)
    except ValueError as error:
        return Fault(
            f"{text!r} is not an image reference",
            why=str(error),
            fix=", ".join(f'"{word}"' for word in BASE_WORDS)
            + ', or a reference as "docker.io/library/python:3.13-slim-trixie"',
        )
    return None


def check_copy_path(text: str) -> Fault | None:
    """Refuse paths that leave the project, take all of it, or mean something to Docker."""
    fault = check_text(text)
    if fault:
        return fault
    if text.strip() != text or not text:
        return Fault(f"{text!r} begins or ends with a space", why="ignore files drop such spaces")
    if text.strip("./") == "":
        return Fault(
            f"{text!r} takes the whole project",
            why="so .git, .env and data sets would get into the image unnoticed",
            fix='name the folders that the application needs, as ["src/", "app/"]',
        )
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        return Fault(f"{text!r} is not relative", fix="write it relative to the spec's folder")
    if any(part in {"..", "."} for part in text.split("/")):
        return Fault(
            f"{text!r} is not a plain path",
            why="a build sees only the spec's folder",
            fix="write the path without `.` and `..`",
        )
    hidden = _NEVER_COPIED.search(text)
    if hidden:
        return Fault(
            f"{text!r} is never let into a build",
            why=f"{hidden[0]} holds secrets, history or files that Python makes itself",
            fix="give a configuration file another name, and secrets at run time",
        )
    special = re.search(r"[*?\[\]\\$'\"<]", text)
    if special:
        return Fault(
            f"{text!r} holds {special[0]!r}",
            why="Docker reads it as part of a pattern, a variable, a quotation or a heredoc",
            fix="name the file or the folder that it is in",
        )
    return None


def check_image_path(text: str) -> Fault | None:
    """Refuse what is not a folder below `/` in the image."""
    parts = text.split("/")
    if re.fullmatch(r"(?:/[A-Za-z0-9._-]+)+", text) and not {".", ".."} & set(parts):
        return None
    return Fault(
        f"{text!r} is not an absolute path of plain words",
        why="it is written into paths of the image, unquoted",
        fix='letters, digits, ".", "_" and "-" between slashes, as "/app"',
    )


def check_file_path(text: str) -> Fault | None:
    if not text:
        return Fault("is empty", fix="write a path, relative to the spec's folder")
    return check_text(text)


def check_variable_name(text: str) -> Fault | None:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        return None
    return Fault(
        f"{text!r} cannot name a variable", fix="use letters, digits and '_', as OMP_NUM_THREADS"
    )


def check_index_url(text: str) -> Fault | None:
    """Refuse URLs that are not an index's, and every URL that carries a credential."""
    if "@" in text or "?" in text:
        return Fault(
            "carries a login or a token",
            why="the spec is committed, and the index's address is written into locks",
            fix="set ENVGEN_INDEX_USERNAME and ENVGEN_INDEX_PASSWORD and write the address alone",
        )
    if re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~%/+-]*)?", text):
        return None
    return Fault(
        f"{text!r} is not the address of a package index", fix="as https://packages.example/simple"
    )


def check_index_name(text: str) -> Fault | None:
    if re.fullmatch(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", text) and text != "index":
        return None
    return Fault(
        f"{text!r} cannot name an index",
        why="network.index is called so in lockers' files" if text == "index" else "",
        fix="use lower-case letters, digits and single hyphens, as `acme`",
    )


def check_package_folder(text: str) -> Fault | None:
    """Refuse what is not the project's folder or a folder below it."""
    return None if text == "." else check_copy_path(text)


def check_registry_host(text: str) -> Fault | None:
    host = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
    if re.fullmatch(rf"{host}(?:/[a-z0-9](?:[a-z0-9._/-]*[a-z0-9])?)?", text):
        return None
    return Fault(
        f"{text.rpartition('@')[2]!r} is not a registry's host",
        why="it is written into FROM lines; logins come from `docker login`" if "@" in text else "",
        fix='a host, with a port if need be: "mirror.example:5000"',
    )


def check_moment(text: str) -> Fault | None:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        return _check_calendar(text)
    return Fault(
        f"{text!r} is not a moment in UTC",
        why="a bare date means its end, in a time zone that nobody wrote down",
        fix='as "2026-11-01T00:00:00Z"',
    )


def _check_calendar(text: str) -> Fault | None:
    from datetime import datetime  # noqa: PLC0415 - rarely needed

    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        return Fault(f"{text!r} is on no calendar", why=str(error))
    return None


def check_cuda_version(text: str) -> Fault | None:
    if text == "auto" or re.fullmatch(r"\d{1,2}\.\d{1,2}", text):
        return None
    return Fault(f"{text!r} is not a CUDA version", fix='"auto", or a release as "12.8"')


def check_driver_bound(text: str) -> Fault | None:
    if re.fullmatch(r">=\d{3}(?:\.\d+){0,2}", text):
        return None
    return Fault(
        f"{text!r} is not a bound on the driver",
        why="an image has to name the oldest driver that it will meet",
        fix='as ">=570" or ">=535.129.03"',
    )


def check_gpu_model(text: str) -> Fault | None:
    from envgen.cuda.gpus import find_gpu  # noqa: PLC0415 - reads the tables of GPUs

    if find_gpu(text):
        return None
    from envgen.cuda.tables import tables  # noqa: PLC0415
    from envgen.spec.suggest import suggest  # noqa: PLC0415

    names = {row.name.lower(): row.name for row in tables().gpus}
    hint = suggest(text.lower(), names)
    return Fault(
        f"{text!r} is not a GPU that envgen knows",
        fix=hint if hint.startswith("did") else "use the name that nvidia-smi prints, as 'A100'",
    )


def check_match_spec(text: str) -> Fault | None:
    """Refuse what envgen does not read as a MatchSpec; conda would take nearly anything."""
    from envgen.lockers.conda_specs import parse_spec  # noqa: PLC0415 - only for conda-lock

    spec = parse_spec(text)
    if spec is None:
        return Fault(
            f"{text!r} is not a MatchSpec",
            why="conda's own parser would take it for some version",
            fix="as 'numpy', 'mkl=2024.*', 'pytorch >=2.9,<3' or 'pytorch 2.9.* *cuda*'",
        )
    if spec.name == "python":
        return Fault(
            f"{text!r} chooses a Python",
            why="all images of a project have the Python of project.python",
            fix="leave it out",
        )
    if spec.name.startswith("__"):
        return Fault(
            f"{text!r} is about the host",
            why="conda packages ask for such names, an environment cannot have them",
            fix="say what the host has in the image's `gpu`",
        )
    return None


def check_conda_channel(text: str) -> Fault | None:
    """Refuse channels that carry a credential, and what is neither a name nor an address."""
    if re.fullmatch(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_.-]+)*", text):
        return None
    if "@" in text or "?" in text or re.search(r"/t/[^/]", text):
        return Fault(
            "carries a login or a token",
            why="the spec is committed, and the channel's address is written into locks",
            fix="write the address alone; rattler and conda keep logins in their own stores",
        )
    if re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~%/+-]*)?", text):
        return None
    return Fault(
        f"{text!r} is not a conda channel",
        why="a build does not see this machine's disk" if text.startswith("file:") else "",
        fix="a name as conda-forge, or an address as https://conda.example/internal",
    )


_OS_PACKAGE: Final = re.compile(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](?:=(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*)?"
)


def check_os_package(text: str) -> Fault | None:
    """Refuse what is no name of a Debian package (its Policy, 5.6.1), alone or with `=VERSION`."""
    if _OS_PACKAGE.fullmatch(text):
        return None
    name = re.match(r"[A-Za-z0-9+.-]*", text)
    word = name[0].lower().rstrip("-") if name else ""
    why, fix = "", 'as "git", or with an exact version "git=1:2.47.3-0+deb13u1"'
    if re.fullmatch(r"[a-z0-9+.-]+(?: +[a-z0-9+.-]+)+", text):
        fix = "write " + ", ".join(f'"{part}"' for part in text.split())
    elif ":" in text.partition("=")[0]:
        why, fix = "`platforms` says for which architectures", f'write "{word}"'
    elif "/" in text:
        why = "the suites are those of the base's release and its updates"
        fix = f'write "{word}"'
    elif re.search(r"==|[<>~!*]=?", text):
        why = "apt knows exact versions alone; the lock pins the rest"
        fix = f'write "{word}", or "{word}=VERSION"'
    elif re.search("[A-Z]", text.partition("=")[0]) and len(word) > 1:
        why, fix = "names of OS packages are lower-case", f'write "{word}"'
    return Fault(f"{text!r} is not an OS package", why=why, fix=fix)


def check_os_archive(text: str) -> Fault | None:
    from envgen.apt.tables import archives  # noqa: PLC0415 - few specs name one
    from envgen.spec.suggest import suggest  # noqa: PLC0415 - only for this error

    if text in archives():
        return None
    return Fault(f"{text!r} is not an archive of OS packages", fix=suggest(text, archives()))


def check_os_archive_url(text: str) -> Fault | None:
    """Refuse what is no address of an archive, and every address that carries a credential."""
    if "@" in text or "?" in text:
        return Fault(
            "carries a login or a token",
            why="the spec is committed, and the archive's address is written into locks",
            fix="name a mirror that needs none",
        )
    plain = text.replace("{moment}", "20261101T000000Z")
    if re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~%+-]+)*/?", plain):
        return None
    return Fault(
        f"{text!r} is not the address of an archive",
        fix='as "https://mirror.example/archive/debian/{moment}"',
    )


def check_size(text: str) -> Fault | None:
    from envgen.lock.limits import parse_size  # noqa: PLC0415 - few specs have one

    try:
        parse_size(text)
    except ValueError:
        return Fault(
            f"{text!r} is not a size",
            fix='write a number with MB, GB, MiB or GiB, as "2GB"',
        )
    return None


def check_preset(text: str) -> Fault | None:
    """Refuse what names no preset. Whether there is one of that name is seen where it is read."""
    from envgen.presets import preset_names  # noqa: PLC0415 - reads a folder

    if text in preset_names():
        return None
    from envgen.spec.preset_reference import check_reference  # noqa: PLC0415 - few specs have one

    return check_reference(text)


def check_age(text: str) -> Fault | None:
    if re.fullmatch(r"[1-9][0-9]{0,4}[dw]", text):
        return None
    return Fault(f"{text!r} is not an age", fix="days or weeks, as 90d or 12w")


def check_repository(text: str) -> Fault | None:
    """Refuse what is not a repository by its full name, which every engine understands alike."""
    from envgen.registry.reference import parse_reference  # noqa: PLC0415 - few specs have one

    host, slash, _ = text.partition("/")
    try:
        reference = parse_reference(text)
        why = "" if slash and re.search(r"[.:]|^localhost$", host) else "it begins with no registry"
    except ValueError as error:
        why = str(error)
    else:
        if not why and (reference.digest or text.rpartition("/")[2].count(":")):
            why = "tags move and digests come from a push; envgen writes the digest itself"
    if not why:
        return None
    return Fault(f"{text!r} is not a repository", why=why, fix='as "registry.example/team/serve"')


def check_cpus(text: str) -> Fault | None:
    if re.fullmatch(r"(?:[1-9][0-9]{0,3}|0)(?:\.[0-9]{1,3})?", text) and float(text) > 0:
        return None
    return Fault(
        f"{text!r} is not a number of processors", fix='write a number as text: "2", or "0.5"'
    )


def check_volume_name(text: str) -> Fault | None:
    if re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", text) and len(text) <= 40 and text not in _MOUNTS:
        return None
    return Fault(
        f"{text!r} cannot name a volume",
        why="manifests have one of that name already" if text in _MOUNTS else "",
        fix="use up to 40 lower-case letters, digits and single hyphens, as `data`",
    )


_MOUNTS: Final = ("home", "shm", "tmp")
"""What containers get beside the volumes of the spec: see plan/targets."""


def check_object_url(text: str) -> Fault | None:
    """Refuse what is not in object storage, and every URL that carries a credential."""
    if re.fullmatch(r"(?:s3|gs|az|abfs|abfss)://[A-Za-z0-9][A-Za-z0-9._/=@-]*", text) and (
        "@" not in text or text.startswith("abfs")
    ):
        return None
    return Fault(
        f"{text!r} is not a place in object storage",
        why="a container's file system goes with it, and a login has no place in the spec",
        fix="as s3://BUCKET/PREFIX, gs:// or az://",
    )


LOCKERS: Final = ("uv", "poetry", "conda-lock", "pip")
TARGETS: Final = ("compose", "kubernetes", "sagemaker", "apptainer", "ecs", "devcontainer")
FRAMEWORKS: Final = ("jax", "numpy", "plain", "tensorflow", "torch")
"""What envgen brings itself. A plugin cannot take the place of one of these."""


def check_locker(text: str) -> Fault | None:
    return _check_plugin(text, LOCKERS, "envgen.lockers")


def check_target(text: str) -> Fault | None:
    return _check_plugin(text, TARGETS, "envgen.targets")


def check_workloads(text: str) -> Fault | None:
    """Refuse what cannot be imported, and what is tested anyway.

    Whether a plugin has work for it is seen when it is locked: its files are copied then, and
    nothing later needs the plugin.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        return Fault(f"{text!r} is not the name of a module", fix='as "sklearn"')
    if text in FRAMEWORKS:
        return Fault(f"{text} is tested in any case", fix="leave it out")
    return None


def _check_plugin(text: str, own: tuple[str, ...], group: "Group") -> Fault | None:
    if text in own:
        return None
    from envgen.plugins import list_plugins  # noqa: PLC0415 - only for names that are not ours

    plugins = list_plugins(group)
    if text in plugins:
        return None
    return Fault(
        f"{text!r} is not a choice",
        why=f"neither envgen nor an installed plugin ({group}) has it",
        fix=suggest_plugin(text, [*own, *plugins]),
    )


def suggest_plugin(text: str, known: list[str]) -> str:
    """Return a hint that names the nearest known name, or what to do where there is none."""
    from envgen.spec.suggest import suggest  # noqa: PLC0415 - only a user with a typo pays for it

    return suggest(text, known) or "install the plugin that brings it, beside envgen"


FORMS: Final[dict[str, Callable[[str], Fault | None]]] = {
    "text": check_text,
    "age": check_age,
    "image-name": check_image_name,
    "project-name": check_project_name,
    "python-version": check_python_version,
    "requirement": check_requirement,
    "package-name": check_package_name,
    "agreed-package": check_agreed_package,
    "base": check_base,
    "copy-path": check_copy_path,
    "image-path": check_image_path,
    "file-path": check_file_path,
    "variable-name": check_variable_name,
    "index-url": check_index_url,
    "index-name": check_index_name,
    "package-folder": check_package_folder,
    "registry-host": check_registry_host,
    "os-package": check_os_package,
    "os-archive": check_os_archive,
    "os-archive-url": check_os_archive_url,
    "moment": check_moment,
    "cuda-version": check_cuda_version,
    "driver-bound": check_driver_bound,
    "gpu-model": check_gpu_model,
    "match-spec": check_match_spec,
    "conda-channel": check_conda_channel,
    "preset": check_preset,
    "size": check_size,
    "repository": check_repository,
    "cpus": check_cpus,
    "volume-name": check_volume_name,
    "object-url": check_object_url,
    "locker": check_locker,
    "target": check_target,
    "workloads": check_workloads,
}
