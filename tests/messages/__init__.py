"""Messages out: what is announced, to whom, and how it gets there."""
