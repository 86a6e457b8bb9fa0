"""Wherry: brings big files through ingresses that are too narrow for them."""

__version__ = "0.1.0.dev0"
