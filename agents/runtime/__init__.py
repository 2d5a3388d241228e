"""What runs an agent: the loop (`runner`), batches, delivery after a rebalance, and the guard against bad records."""
