"""What differs between the interop versions of the draft, a row for each.

Rule 1: a difference is a column here, and no branch on a number elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """What the drafts of one interop version want.

    `completeness`: the field that says whether the upload is complete; `is_inverted`: true in it
    means that it is not. `needs_type`: whether PATCH must have `application/partial-upload`.
    `lifetime`: the key of the remaining lifetime in `Upload-Limit`. `ends_beyond`: whether bytes
    beyond the length end the upload. `bare_head`: whether HEAD and DELETE may have no field that
    describes an upload.
    """

    number: int
    drafts: str
    completeness: str = "Upload-Complete"
    is_inverted: bool = False
    needs_type: bool = True
    lifetime: str = "max-age"
    ends_beyond: bool = True
    bare_head: bool = False

    def tell(self, is_complete: bool) -> dict[str, str]:
        """The field for an answer."""
        return {self.completeness: "?1" if is_complete != self.is_inverted else "?0"}


VERSIONS = {
    version.number: version
    for version in (
        Version(
            3,
            "-01",
            completeness="Upload-Incomplete",
            is_inverted=True,
            needs_type=False,
            lifetime="expires",
            ends_beyond=False,
            bare_head=True,
        ),
        Version(4, "-02", needs_type=False, lifetime="expires", ends_beyond=False, bare_head=True),
        Version(5, "-03", needs_type=False, lifetime="expires", ends_beyond=False, bare_head=True),
        Version(6, "-04, -05", lifetime="expires", ends_beyond=False, bare_head=True),
        Version(7, "-06 to -08"),
        Version(8, "-09 to -11"),
        Version(9, "from -12 on"),
    )
}
#: Of requests that name none, or one that is not known here.
NEWEST = VERSIONS[max(VERSIONS)]
#: Whether a request that names no version may get a 104. The RFC will have no versions, and the
#: drafts forbid it.
SPEAKS_WITHOUT_VERSION = False
