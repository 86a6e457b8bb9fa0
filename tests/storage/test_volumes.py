"""Volumes as they look in mountinfo, and what is said of each."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from wherry.storage import volumes
from wherry.storage.local import LocalStorage
from wherry.storage.volumes import Mount, check_volume, mount_of, parse_mountinfo

BARE = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw,nosuid - devtmpfs devtmpfs rw,size=12334524k,mode=755
25 24 0:23 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
61 27 0:52 / /srv/team rw,relatime shared:31 - nfs4 filer:/export/team rw,vers=4.2,hard
62 27 8:17 / /srv/team/local\\040disk rw,relatime shared:32 master:3 - xfs /dev/sdb1 rw
63 27 0:60 / /srv/windows rw,relatime - cifs //filer/share rw,vers=3.1.1
64 27 0:61 / /home/me/far rw,nosuid,nodev,relatime - fuse.sshfs me@far: rw,user_id=1000
"""
POD = """\
2191 1913 0:311 / / rw,relatime master:597 - overlay overlay rw,lowerdir=/var/lib/c/A:/var/lib/c/B
2192 2191 0:314 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
2260 2191 259:1 /kubelet/pods/0f1e/volumes/kubernetes.io~empty-dir/data /data rw - xfs /dev/sda1 rw
2261 2191 0:290 / /cache rw,relatime - tmpfs tmpfs rw,size=65536k
2262 2191 259:4 / /claim rw,relatime - ext4 /dev/nvme1n1 rw
"""
WSL = """\
84 78 0:29 / / rw,relatime - ext4 /dev/sdc rw,discard
98 84 0:52 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs;path=C:\\134
"""


def on(path: str, mountinfo: str) -> Mount:
    mount = mount_of(Path(path), parse_mountinfo(mountinfo))
    assert mount is not None
    return mount


def said_of(path: str, mountinfo: str) -> str:
    return " ".join(check_volume(Path(path), on(path, mountinfo)))


@pytest.mark.parametrize(
    ("path", "mountinfo", "kind"),
    [
        ("/var/wherry", BARE, "ext4"),
        ("/srv/team/uploads", BARE, "nfs4"),
        ("/srv/teamwork", BARE, "ext4"),
        ("/srv/team/local disk/uploads", BARE, "xfs"),
        ("/", BARE, "ext4"),
        ("/data", POD, "xfs"),
        ("/database", POD, "overlay"),
    ],
)
def test_a_folder_is_on_the_mount_with_the_longest_common_path(
    path: str, mountinfo: str, kind: str
) -> None:
    assert on(path, mountinfo).kind == kind


def test_of_two_mounts_on_one_point_the_later_counts() -> None:
    again = BARE + "99 27 8:33 / /srv/team rw,relatime - ext4 /dev/sdc1 rw\n"
    assert on("/srv/team/uploads", again).kind == "ext4"


def test_lines_that_are_no_mounts_are_left_out() -> None:
    assert parse_mountinfo("\n1 2\nfoo - bar\n36 35 98:0 / /mnt rw -\n") == []


@pytest.mark.parametrize(
    ("path", "mountinfo"),
    [
        ("/srv/team/uploads", BARE),
        ("/srv/windows", BARE),
        ("/home/me/far/data", BARE),
        ("/mnt/c/data", WSL),
    ],
)
def test_a_network_file_system_is_refused_with_the_reason_and_a_way_out(
    path: str, mountinfo: str
) -> None:
    with pytest.raises(OSError, match="network file system") as refused:
        said_of(path, mountinfo)
    for word in (path, on(path, mountinfo).kind, "SQLite", "WHERRY_DATA"):
        assert word in str(refused.value)
    assert refused.value.errno == errno.ENOTSUP


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "9p",
        "ceph",
        "lustre",
        "glusterfs",
        "fuse.s3fs",
        "fuse.rclone",
    ],
)
def test_every_network_file_system_is_known(kind: str) -> None:
    with pytest.raises(OSError, match=kind):
        said_of("/data", f"1 0 0:1 / / rw,relatime - {kind} there:/ rw\n")


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "fuseblk", "fuse.mergerfs"])
def test_nothing_is_said_of_a_local_disk(kind: str) -> None:
    assert said_of("/data", f"1 0 8:1 / / rw,relatime - {kind} /dev/sda1 rw\n") == ""


@pytest.mark.parametrize(
    ("path", "word"),
    [("/data/uploads", "emptyDir"), ("/cache", "in memory"), ("/app/data", "container")],
)
def test_what_a_restart_loses_is_said_before_it_is_lost(path: str, word: str) -> None:
    said = said_of(path, POD)
    assert word in said
    assert path in said
    assert "persistent" in said or "restart loses" in said
    assert said_of("/claim/uploads", POD) == ""


def test_the_storage_reads_the_mounts_when_it_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(volumes, "MOUNTS", mounts)
    mounts.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path} rw - nfs4 b:/ rw\n")
    with pytest.raises(OSError, match="nfs4"):
        LocalStorage(tmp_path / "root").check()
    assert not (tmp_path / "root").exists()
    mounts.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path} rw - overlay b rw\n")
    [warning] = LocalStorage(tmp_path / "root").check()
    assert "overlay" in warning


def test_a_system_without_mountinfo_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "MOUNTS", tmp_path / "nothing")
    assert LocalStorage(tmp_path / "root").check() == []
