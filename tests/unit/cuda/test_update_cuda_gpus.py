"""GPU models are read out of NVIDIA's page of compute capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envgen.cuda.tables import GpuModel, tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

PAGE = """\
<table><thead><tr>
<th>Compute Capability</th><th>Data Center</th><th>Workstation/Consumer</th><th>Jetson</th>
</tr></thead><tbody>
<tr><td>12.1</td><td>NVIDIA GB99 (DGX)</td><td></td><td></td></tr>
<tr><td>8.9</td><td><div>NVIDIA L4</div><div>NVIDIA L40</div></td>
<td>NVIDIA RTX 6000 Ada<br/>GeForce RTX 4099<br>NVIDIA TITAN Ada</td><td></td></tr>
<tr><td>8.7</td><td></td><td></td><td>Jetson AGX Orin</td></tr>
</tbody></table>
"""


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("update_cuda_gpus")


def test_models_have_the_capability_of_their_row_and_the_line_of_their_column(
    script: ModuleType,
) -> None:
    found = {row.name: (row.capability, row.category) for row in script.parse_page(PAGE)}
    assert found == {
        "GB99 (DGX)": ("12.1", "datacenter"),
        "L4": ("8.9", "datacenter"),
        "L40": ("8.9", "datacenter"),
        "RTX 6000 Ada": ("8.9", "workstation"),
        "GeForce RTX 4099": ("8.9", "geforce"),
        "TITAN Ada": ("8.9", "titan"),
        "Jetson AGX Orin": ("8.7", "jetson"),
    }


def test_known_models_stay_and_new_ones_come_first(script: ModuleType) -> None:
    rows, contradictions = script.merge(tables().gpus, script.parse_page(PAGE))
    new = rows[: len(rows) - len(tables().gpus)]
    assert [row.name for row in new] == ["GB99 (DGX)", "GeForce RTX 4099", "TITAN Ada"]
    assert contradictions == []


def test_model_with_another_capability_is_a_contradiction(script: ModuleType) -> None:
    wrong = GpuModel(name="L4", capability="9.9", category="datacenter", source="s", verified=True)
    _, contradictions = script.merge(tables().gpus, [wrong])
    assert contradictions == ["L4 is listed with 9.9, the file has 8.9"]


def test_page_of_another_form_names_no_model(script: ModuleType) -> None:
    assert script.parse_page("<html><p>moved</p></html>") == ()
