"""What Soulcaster needs of other systems, as small protocols: one file for each capability.

Where a system does not answer within its time limit, every adapter raises `errors.Unavailable` or a subclass, and no
other error. The caller may try the same call again.
"""
