"""Which environment made a model: written to the model's registry, and found again from there.

`model` is what is written, `targets` are the registries, `search` finds the commit.
"""
