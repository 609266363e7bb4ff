"""Which images run on which hosts: who is asked, what is answered, how it is shown."""
