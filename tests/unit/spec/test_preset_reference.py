"""How a spec names presets that do not come with envgen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.lock.model import LockedPreset
from envgen.spec.forms import check_preset
from envgen.spec.preset_reference import (
    FOLDER,
    GitPreset,
    PackagePreset,
    PluginPreset,
    parse_reference,
    preset_path,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GIT = f"git+https://git.example/team/presets@{COMMIT}#images/train.toml"


def test_git_reference_names_a_file_at_a_commit() -> None:
    url = "https://git.example/team/presets"
    assert parse_reference(GIT) == GitPreset(url=url, commit=COMMIT, path="images/train.toml")


def test_package_reference_names_a_version_and_a_preset() -> None:
    found = parse_reference("package:acme-presets==1.2.3#train")

    assert found == PackagePreset(name="acme-presets", version="1.2.3", preset="train")


def test_any_other_name_may_be_a_plugins() -> None:
    assert parse_reference("acme-train") == PluginPreset(preset="acme-train")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (GIT.replace(COMMIT, "main"), "commit"),
        (GIT.replace(COMMIT, COMMIT[:12]), "commit"),
        (GIT.replace("https", "http"), "over https or ssh"),
        (GIT.replace("git.example", "user:secret@git.example"), "login"),
        (GIT.replace("https://git.example", "file:///srv"), "one machine"),
        (GIT.replace("images/train.toml", "../train.toml"), "commit"),
        (GIT.partition("#")[0], "commit"),
        ("package:acme-presets#train", "one version"),
        ("package:acme-presets>=1#train", "one version"),
        ("Train it", "not a preset"),
    ],
)
def test_what_may_change_or_leave_the_repository_is_refused(text: str, word: str) -> None:
    fault = check_preset(text)

    assert fault is not None
    assert word in f"{fault.what}\n{fault.fix}"
    assert "secret" not in str(fault)


def test_git_over_ssh_may_have_gits_own_user() -> None:
    assert check_preset(GIT.replace("https://", "ssh://git@")) is None


@given(st.from_regex(r"[\w./#@+:=-]{1,60}", fullmatch=True))
def test_stored_presets_lie_in_their_folder(text: str) -> None:
    if parse_reference(text) is not None:
        path = preset_path(LockedPreset(reference=text, sha256="0" * 64))

        assert path.startswith(f"{FOLDER}/")
        assert path.count("/") == FOLDER.count("/") + 1
