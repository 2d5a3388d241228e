"""The read model and its neighbours in Redis: one file an aggregate."""
