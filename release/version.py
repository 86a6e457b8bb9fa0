"""The version of Wherry, as each registry writes it. It is set in src/wherry/__init__.py only."""

from __future__ import annotations

from packaging.version import Version

#: What npm calls the kinds of versions before a release.
_KINDS = {"a": "alpha", "b": "beta", "rc": "rc"}


def npm_version(version: str) -> str:
    """PyPI's version as npm writes it (semver.org): 0.2.0rc1 is 0.2.0-rc.1.

    Raises `ValueError` for one that npm cannot express: 1.2, 1.2.3.4, 1.0.0.post1, 1.0.0+local.
    """
    parsed = Version(version)
    if len(parsed.release) != 3 or parsed.epoch or parsed.local or parsed.post is not None:
        raise ValueError(f"npm has no version like {version}")
    before = []
    if parsed.pre is not None:
        kind, number = parsed.pre
        before += [_KINDS[kind], number]
    if parsed.dev is not None:
        before += ["dev", parsed.dev]
    joined = ".".join(map(str, before))
    return f"{parsed.base_version}-{joined}" if joined else parsed.base_version
