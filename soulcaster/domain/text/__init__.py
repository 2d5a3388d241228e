"""Texts: cleaning, masking, and what of a text is compared."""
