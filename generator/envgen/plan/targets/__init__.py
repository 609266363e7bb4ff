"""Where an image runs: what manifests say of it, in each deployment.

`model` has the types, `deployments` what a container gets, `nodes` the machines it may run on;
`devcontainer`, `ecs` and `sagemaker` are the documents of formats that are JSON. The others are
templates.
"""
