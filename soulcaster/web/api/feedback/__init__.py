"""Items of feedback: reading, editing and deleting them."""
