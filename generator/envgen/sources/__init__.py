"""Whether every file of an image comes from where its spec and lock say, without building it."""
