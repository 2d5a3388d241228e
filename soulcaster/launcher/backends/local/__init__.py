"""The backend `local`: programs run on this machine, in bubblewrap.

`backend` is what the launcher uses. It starts a `supervisor` for each launch, a process of its own that outlives the
launcher. The supervisor starts a `guard`, which starts the program and dies with it; where bubblewrap works, the guard
is the first process inside of it. What they know of a launch is in its `folder`. docs/launching.md has the picture.
"""
