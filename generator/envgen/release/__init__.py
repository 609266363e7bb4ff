"""Images on their way into registries: tags, papers, and the record of their digests."""
