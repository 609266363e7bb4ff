"""Container images as registries know them: read without a Docker daemon."""
