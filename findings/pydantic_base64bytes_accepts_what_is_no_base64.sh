#!/usr/bin/env bash
# A field of pydantic's type Base64Bytes accepts text that is no base64.
#
# Version: pydantic 2.14.3. The type has an error for text that cannot be decoded, `base64_decode`.
# But characters outside the alphabet are dropped before anything is checked, so most texts pass, and
# become other bytes. Base64UrlBytes does the same. base64.b64decode(…, validate=True) of the
# standard library refuses the text.
# Seen:
#   Base64Bytes 'no base64!': 6 bytes
#   Base64UrlBytes 'no base64!': 6 bytes
#   standard library: refused
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydantic==2.14.3
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import base64

from pydantic import Base64Bytes, Base64UrlBytes, TypeAdapter, ValidationError

TEXT = "no base64!"
for name, kind in (("Base64Bytes", Base64Bytes), ("Base64UrlBytes", Base64UrlBytes)):
    try:
        seen = f"{len(TypeAdapter(kind).validate_python(TEXT))} bytes"
    except ValidationError:
        seen = "refused"
    print(f"{name} {TEXT!r}: {seen}")
try:
    base64.b64decode(TEXT, validate=True)
    print("standard library: accepted")
except ValueError:
    print("standard library: refused")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
Base64Bytes 'no base64!': 6 bytes
Base64UrlBytes 'no base64!': 6 bytes
standard library: refused
SEEN
