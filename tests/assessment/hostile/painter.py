"""Makes a picture, and leaves something else behind."""

from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    context.write("poster.jpg", b"\xff\xd8\xff", kind="poster")
    (context.folder / "rubbish.bin").write_bytes(b"?")
    return {}
