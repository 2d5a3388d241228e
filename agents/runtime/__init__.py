"""What runs an agent: batches, delivery, the guard, and the loop."""
