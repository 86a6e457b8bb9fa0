"""Measures Wherry against other upload servers, and parts of Wherry by themselves.

`python -m bench --help` compares servers; the scripts in this folder measure parts.
"""
