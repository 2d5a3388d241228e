"""The clusterer of one project and one embedder: its state, and what changes it."""
