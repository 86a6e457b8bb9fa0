"""What kind of volume a folder lies on, and whether Wherry may live there.

Rule 1: everything here is a function of text, so that mounts that no
test machine has can be tested. Only `local.py` reads `/proc/self/mountinfo`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: File systems whose other end is another machine.
MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = re.compile(
    r"(fuse\.)?(9p|afs|beegfs|ceph|ceph-fuse|cifs|coda|davfs2?|gcsfuse|glusterfs|goofys|gpfs"
    r"|juicefs|lustre|mount(point)?-s3|ncpfs|nfs4?|orangefs|pvfs2|rclone|s3fs|smb[23]|smbfs|sshfs)"
)
_ESCAPED = re.compile(r"\\([0-7]{3})")
_EMPTY_DIR = "/kubernetes.io~empty-dir/"


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo: `root` of the file system `kind` is seen at `point`."""

    root: str
    point: PurePosixPath
    kind: str


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts of `/proc/self/mountinfo` (proc_pid_mountinfo(5)), in its order.

    Lines that do not look like a mount are left out.
    """
    # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    #  0  1   2    3     4       5        6      then - kind source options
    mounts = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")[0]
        if separator and kind and len(fields) >= 6:
            mounts.append(Mount(_plain(fields[3]), PurePosixPath(_plain(fields[4])), kind))
    return mounts


def mount_of(path: Path, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that `path` (resolved, absolute) lies on; None where it is not known."""
    found = None
    for mount in mounts:
        if not path.is_relative_to(mount.point):
            continue
        # Of two mounts on the same point, the later one hides the earlier.
        if found is None or len(mount.point.parts) >= len(found.point.parts):
            found = mount
    return found


def check_mount_of(root: Path) -> list[str]:
    """What `check_volume` says of the volume of `root`; nothing where mounts cannot be read."""
    try:
        text = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return []  # macOS, or a system that hides its mounts.
    path = root.resolve()
    mount = mount_of(path, parse_mountinfo(text))
    return check_volume(path, mount) if mount else []


def check_volume(path: Path, mount: Mount) -> list[str]:
    """Sentences an operator should read about this volume.

    Raises `OSError` for a network file system.
    """
    if _NETWORK.fullmatch(mount.kind):
        raise OSError(
            errno.ENOTSUP,
            f"{path} is on a network file system ({mount.kind}). SQLite cannot keep records "
            "there: its locks and its shared memory end at the machine. Give Wherry a folder "
            "on a local disk (--data, WHERRY_DATA)",
        )
    if _EMPTY_DIR in mount.root:
        return [
            f"{path} is a Kubernetes emptyDir: it is deleted with its pod, and with it every "
            "upload and every record. Mount a persistent volume."
        ]
    if mount.kind in ("tmpfs", "ramfs"):
        return [
            f"{path} is in memory ({mount.kind}): a restart loses every upload and every "
            "record, whatever was acknowledged. Use a folder on a disk."
        ]
    if mount.kind == "overlay":
        return [
            f"{path} is on a container's own layer (overlay): a restart loses every upload "
            "and every record if it makes a new container. Mount a volume there."
        ]
    return []


def _plain(field: str) -> str:
    """Undo mountinfo's octal escapes for space, tab, newline and backslash."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)
