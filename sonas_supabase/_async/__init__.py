"""The asyncio client. Its twin ``_sync`` is generated from this folder by ``scripts/generate_sync.py``."""
