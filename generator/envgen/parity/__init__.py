"""Whether dev, test and prod are what the spec declares: the same but for what it says.

`expected` tells what a container should get, the readers (`kubernetes`, `compose`, `engine`,
`documents`) what one gets, `compare` where they differ.
"""
