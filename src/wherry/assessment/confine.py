"""Takes rights away from the process of a step before it opens an uploaded file.

Rule 1: after `confine` the process can open nothing but Python's own libraries and
the uploaded file, write only into its own folder, reach no network, start no process, and signal
no other process. A decoder that an attacker controls can then only falsify its results.

Rule 2: each measure is tried by itself, and those in force are reported: an older kernel,
or macOS, has fewer of them.

Landlock (files) and seccomp (system calls) are used rather than name spaces:
they need no privilege, and containers do not forbid them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

# The same numbers on every architecture.
SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a step may use: seconds of wall clock and of processor, bytes, open files."""

    seconds: float
    processor_seconds: int
    memory: int = 4 * 1024**3
    file_size: int = 32 * 1024**2
    open_files: int = 64


def limit(bounds: Bounds, parent: int) -> None:
    """Set the limits that the kernel keeps, and die with the process `parent`."""
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before this process could say what to do then.
        os._exit(1)
    # A signal to a whole control group is for the worker, which ends its children itself.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    for kind, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, bounds.processor_seconds),
        (resource.RLIMIT_FSIZE, bounds.file_size),
        (resource.RLIMIT_NOFILE, bounds.open_files),
        (resource.RLIMIT_AS, bounds.memory),
    ):
        _, hard = resource.getrlimit(kind)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # At the hard limit of processor time the kernel kills without saying why.
        top = most + 5 if kind == resource.RLIMIT_CPU and most == wanted else most
        try:
            resource.setrlimit(kind, (most, top))
        except (ValueError, OSError):
            # macOS knows some of these limits but does not keep them.
            continue


def confine(file: int | None, *libraries: str) -> list[str]:
    """Give up files, network and processes for good; returns what of it was obtained.

    Call it in the folder that may be written to. `file` is a descriptor of what may still
    be opened for reading by its name, if anything may. `libraries` are folders outside of Python's
    own from which something may still be imported.
    """
    if sys.platform != "linux":
        return []
    if _libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    readable = {*libraries, *(sysconfig.get_path(name) for name in LIBRARIES)}
    obtained = {"files": _confine_files(file, readable), "system-calls": _confine_calls()}
    return [name for name, is_kept in obtained.items() if is_kept]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


# Landlock: https://docs.kernel.org/userspace-api/landlock.html

WRITE_FILE, READ_FILE, READ_DIR, MAKE_REG, TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 8, 1 << 14
#: Where Python imports from. Much is imported late, when it is first used.
LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
#: How many kinds of access to files each version of Landlock knows.
FILE_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
TCP = 0b11  # bind and connect, from version 4
SCOPES = 0b11  # abstract sockets and signals, from version 6
RULE_PATH_BENEATH = 1


def _confine_files(file: int | None, readable: set[str]) -> bool:
    """Refuse every file but this one, libraries, and those made in the current folder."""
    call = _libc().syscall
    version = call(SYS_LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    handled = (1 << FILE_ACCESS[min(version, 5)]) - 1
    rules = struct.pack("=QQQ", handled, TCP if version >= 4 else 0, SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = call(SYS_LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    allowed = {".": (WRITE_FILE | MAKE_REG | TRUNCATE) & handled}
    allowed |= {path: READ_FILE | READ_DIR for path in readable if Path(path).is_dir()}
    if file is not None and not _allow(ruleset, file, READ_FILE):
        return False
    for path, access in allowed.items():
        folder = os.open(path, os.O_PATH | os.O_DIRECTORY)
        added = _allow(ruleset, folder, access)
        os.close(folder)
        if not added:
            return False
    return bool(call(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)


def _allow(ruleset: int, descriptor: int, access: int) -> bool:
    beneath = struct.pack("=Qi", access, descriptor)
    call = _libc().syscall
    return bool(call(SYS_LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, beneath, 0) == 0)


# seccomp: https://docs.kernel.org/userspace-api/seccomp_filter.html

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
EPERM, ENOSYS = 0x00050000 | 1, 0x00050000 | 38
CLONE_THREAD = 0x00010000
X32 = 0x40000000

#: AUDIT_ARCH of the machine.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: Numbers of system calls, on x86_64 and aarch64; None where there is none.
CALLS: dict[str, tuple[int | None, int | None]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "io_uring_setup": (425, 425),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "chroot": (161, 51),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "prlimit64": (302, 261),
    # An encoder of AV1 raises the thread that uses it above everything on the machine, if it may:
    # findings/svt_av1_leaves_its_caller_at_real_time_priority.sh
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
}
SPECIAL = ("clone", "clone3", "kill", "tgkill", "prlimit64")

LOAD, JUMP_EQUAL, JUMP_GREATER, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


def _confine_calls() -> bool:
    """Refuse the system calls that reach the network, other processes, or the kernel's insides."""
    machine = platform.machine()
    if machine not in ARCHITECTURES or sys.byteorder != "little":
        return False
    program = call_filter(machine, os.getpid())
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, padding, and where they are.
    header = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(buffer))
    return bool(_libc().prctl(PR_SET_SECCOMP, 2, header, 0, 0) == 0)


def call_filter(machine: str, pid: int) -> list[tuple[int, int, int, int]]:
    """The filter: (code, jump if true, jump if false, operand) for each instruction."""
    column = list(ARCHITECTURES).index(machine)
    numbers = {name: pair[column] for name, pair in CALLS.items()}
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        program += [(JUMP_GREATER, 0, 1, X32), (RETURN, 0, 0, KILL_PROCESS)]
    for name, number in numbers.items():
        if number is None or name in SPECIAL:
            continue
        program += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, EPERM)]
    # The C library falls back to clone, whose flags can be checked.
    program += [(JUMP_EQUAL, 0, 1, numbers["clone3"] or 0), (RETURN, 0, 0, ENOSYS)]
    # Each of these ends the program if the call is the one; a decoder's threads are let through.
    program += _argument(numbers["clone"] or 0, JUMP_SET, CLONE_THREAD)
    program += _argument(numbers["kill"] or 0, JUMP_EQUAL, pid)
    program += _argument(numbers["tgkill"] or 0, JUMP_EQUAL, pid)
    program += _argument(numbers["prlimit64"] or 0, JUMP_EQUAL, 0)
    return [*program, (RETURN, 0, 0, ALLOW)]


def _argument(number: int, test: int, operand: int) -> list[tuple[int, int, int, int]]:
    """Allow the call `number` if its first argument passes `test`, else refuse it."""
    return [
        (JUMP_EQUAL, 0, 4, number),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (test, 0, 1, operand),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, EPERM),
    ]
