"""The reference app and the dashboard."""
