"""Everything that the build of an image needs, in a folder: for builds without a network."""
