"""Wherry's page beside the Dashboard of Uppy and FilePond, in the same Chromium.

    .venv/bin/python -m bench.pages [--publish] [--rounds 5] [--only start,many,...]

Wherry's page and FilePond send to Wherry, and Uppy to tusd, by its tus plugin. nginx serves the
built pages and passes the rest on. npm and Go install the peers.

Rule 1: the peers are built from the npm registry, in the versions of `peers/package.json`, as their
documentation says, and with their defaults but for what is named in `products.py`.

Rule 2: each trial has a browser of its own, so that no memory or cache is left from another one.
"""
