"""Building images: by Docker, by a builder of Buildx, several at a time."""
