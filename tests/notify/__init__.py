"""The worker, with real receivers."""
