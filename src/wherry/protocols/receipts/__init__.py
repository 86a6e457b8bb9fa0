"""Receipts for complete uploads, and the public keys that verify them."""

from wherry.protocols.receipts.routes import ROUTES, described_keys
from wherry.protocols.receipts.verbs import KEYS, keys

__all__ = ["KEYS", "ROUTES", "described_keys", "keys"]
