"""Images as builders, engines and registries keep them, and one form that is the same of all."""
