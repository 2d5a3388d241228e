"""What Soulcaster needs of other systems, as small protocols: one file a capability.

Every adapter raises `errors.Unavailable` when its system does not answer within its time limit, and nothing else for
that. The caller may try the same call again.
"""
