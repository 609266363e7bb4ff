"""The report in a real browser: it shows, fits a phone, and axe finds nothing to object to."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from envgen.plan.model import Decision
from envgen.report.model import GpuAnswer, ImageReport, Report, WeighedLayer, WeighedPackage
from envgen.report.page import write_page

if TYPE_CHECKING:
    from pathlib import Path

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")

PROBE = """
<script>%s</script>
<script>
const wide = document.documentElement.scrollWidth, view = window.innerWidth;
axe.run(document).then(found => {
  const told = {
    wide, view,
    boxes: document.querySelectorAll("svg rect").length,
    violations: found.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join(" ")),
  };
  const place = document.createElement("pre");
  place.id = "told";
  place.textContent = JSON.stringify(told);
  document.body.append(place);
});
</script>
"""


def image(name: str) -> ImageReport:
    packages = tuple(
        WeighedPackage(name=f"package-{n}", version="1.0", download_bytes=4**n)
        for n in range(14, 0, -1)
    )
    return ImageReport(
        name=name,
        base="docker.io/library/python:3.13-slim-trixie",
        digest=f"sha256:{'0' * 64}",
        decisions=(Decision(about="base", choice="x" * 90, reason="it is " + "long " * 30),),
        layers=(
            WeighedLayer(name="framework", packages=packages[:4]),
            WeighedLayer(name="packages", packages=packages[4:]),
        ),
        gpus=(
            GpuAnswer(gpu="H100", outcome="runs", detail="from driver 525 on"),
            GpuAnswer(gpu="V100", outcome="fails", detail="no-kernel-image"),
            GpuAnswer(gpu="X1", outcome="unknown", detail="not known"),
        ),
    )


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_page_is_whole_fits_and_is_accessible(tmp_path: Path, width: int, *, dark: bool) -> None:
    page = write_page(Report(project="demo", revision="", images=(image("train"), image("serve"))))
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    target = tmp_path / "report.html"
    target.write_text(page.replace("</body>", PROBE % axe + "</body>"), encoding="utf-8")

    done = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
            "--virtual-time-budget=20000",
            "--dump-dom",
            target.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )

    shown = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert shown, done.stderr
    told = json.loads(html.unescape(shown[1]))
    assert told["violations"] == []
    assert told["boxes"] > 10
    assert told["wide"] <= told["view"]
