"""The ordinary upload: one request brings one whole file.

`multipart/form-data` with the file in the field `file`, or the raw bytes with the name in
`Content-Disposition` (RFC 6266).
"""

from wherry.protocols.form.routes import ROUTES

__all__ = ["ROUTES"]
