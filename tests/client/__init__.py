"""The Python client, over both transports, with and without await."""
