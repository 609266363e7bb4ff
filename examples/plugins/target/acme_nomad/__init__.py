"""The target `nomad`: one job specification for each deployment of an image.

https://developer.hashicorp.com/nomad/docs/job-specification has what the words mean.
"""

import json
from collections.abc import Iterator

from envgen.plan.model import ImagePlan
from envgen.plan.targets.model import Deployment, Targets

_MHZ = 2000
"""Nomad counts processors in MHz; what a core of this team's machines has."""


def render(image: ImagePlan, targets: Targets) -> Iterator[tuple[str, str]]:
    """Yield the job of each deployment: path below the target's folder, and text."""
    for run in targets.deployments:
        yield f"{run.name}.nomad.hcl", _write_job(image, targets, run)


def _write_job(image: ImagePlan, targets: Targets, run: Deployment) -> str:
    kind = "service" if image.ports else "batch"
    env = "".join(f"        {name} = {_quote(value)}\n" for name, value in run.env)
    memory = f"        memory = {run.memory // 2**20}\n" if run.memory else ""
    cpu = f"        cpu    = {run.cpus * _MHZ // 1000}\n" if run.cpus else ""
    return f"""\
job {_quote(f"{targets.name}-{run.name}")} {{
  type = {_quote(kind)}
  group "main" {{
    count = {run.replicas}
    task "main" {{
      driver = "docker"
      config {{
        image = {_quote(targets.reference)}
      }}
      env {{
{env}      }}
      resources {{
{cpu}{memory}      }}
    }}
  }}
}}
"""


def _quote(text: str) -> str:
    """Return a text as HCL has it: `${` and `%{` would begin a template."""
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")
