"""What code that nobody trusts may not ask of the kernel: rules that bubblewrap hands to it.

They are a program of the kernel's own small machine, see seccomp(2) and `linux/bpf_common.h`. What
is forbidden here fails as if it were not permitted. All else a sandbox forbids by itself, or its
limits count it.
"""

from __future__ import annotations

import platform
import struct

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # from linux/audit.h
_FORBIDDEN = {
    # Memory that no limit counts once nobody has it open:
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "msgget": (68, 186), "semget": (64, 190), "vmsplice": (278, 75),
    # Keys that the whole session has, such as a Kerberos ticket:
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # Other cores than its own, on which somebody else's code runs:
    "sched_setaffinity": (203, 122),
    # Other processes, and what has often let code out of a sandbox:
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
}  # fmt: skip
"""Calls that no lesson needs, with their numbers on x86_64 and on aarch64."""

_SOCKET = (41, 198)
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK: a sandbox has a network of its own for each of these.
It has none for others: by AF_VSOCK, a virtual machine is heard by its host."""

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENT_AT = 0, 4, 16  # in the `seccomp_data` of a call
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # with EPERM
_X32 = 0x40000000  # on x86_64, calls of another kind have numbers from here on


def rules() -> bytes:
    """Return the rules for this machine; where we know no numbers for it, all is allowed."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return _step(_RETURN, _ALLOW)
    column = list(_ARCHITECTURES).index(machine)
    tests = [(_AT_LEAST, _X32), *((_EQUAL, numbers[column]) for numbers in _FORBIDDEN.values())]
    more = len(_FAMILIES) + 2  # steps about sockets
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, _ARCHITECTURES[machine], no=len(tests) + 1 + more),
        _step(_LOAD, _NUMBER_AT),
        *(_step(kind, k, yes=len(tests) - at + more - 1) for at, (kind, k) in enumerate(tests)),
        _step(_EQUAL, _SOCKET[column], no=len(_FAMILIES) + 2),
        _step(_LOAD, _ARGUMENT_AT),
        *(_step(_EQUAL, k, yes=len(_FAMILIES) - at) for at, k in enumerate(_FAMILIES)),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def _step(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    """Return a step; where it tests, `yes` and `no` are how many steps are left out then."""
    return struct.pack("=HBBI", code, yes, no, k)
