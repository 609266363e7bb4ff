"""Work for the self-test: only the file beside this one matters, and it goes into images."""
