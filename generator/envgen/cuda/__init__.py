"""Whether an image runs on a host, and why: requirement, host, verdict.

`judge.judge(requirement, host)` is the one question that the rest of envgen asks. A requirement
comes from a lock (`locked`), a wheel (`wheels`) or an image's configuration (`images`); a host from
this machine (`probe`), from flags or a fleet file (`fleet`), or from Kubernetes node labels
(`kubernetes`). What is known about drivers, toolkits, GPUs and packages is in `presets/data/cuda`.
"""
