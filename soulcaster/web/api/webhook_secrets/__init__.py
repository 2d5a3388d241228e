"""The secrets that sign webhooks."""
