"""Text that machines write: which it is, and the templates that it is printed from."""
