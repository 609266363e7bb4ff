"""What run.json says: whether a run can be repeated, and why two runs may differ.

The records are made in images by `envgen_runtime.manifest`; here they are only read.
"""
