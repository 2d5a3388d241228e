"""Running programs of strangers: what bubblewrap shows them, what they use, and how nothing of them is left.

The backend `local` runs the programs of jobs with it, and those programs run commands with it in turn. Nothing here
knows jobs. `guard` and `descendants` also run inside, in a Python without packages: they import the standard library
alone.
"""
