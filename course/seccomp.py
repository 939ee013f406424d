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
    # A place of its own, in which it could mount memory that nobody counts:
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    # What all processes of a user share; the first of these has no number on aarch64:
    "inotify_init": (253, 26), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
}  # fmt: skip
"""Calls that no lesson needs, with their numbers on x86_64 and on aarch64."""

_UNKNOWN = {"clone3": (435, 435)}
"""What it asks for stands where no rule can read it. Whoever needs it asks by `clone` instead,
where the kernel does not know it."""

_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK: a sandbox has a network of its own for each of these.
It has none for others: by AF_VSOCK, a virtual machine is heard by its host."""

_ALL = 0xFFFFFFFF
_NAMESPACES = 0x7E020000  # CLONE_NEWUSER, CLONE_NEWNS and so on
_SHARED, _NOBODYS = 0x01, 0x20  # MAP_SHARED, MAP_ANONYMOUS
_ALLOWED = {
    "socket": ((41, 198), 0, _ALL, _FAMILIES),
    "socketpair": ((53, 199), 0, _ALL, _FAMILIES),
    "clone": ((56, 220), 0, _NAMESPACES, (0,)),
    # No process has to keep such memory to have it, so it is counted for none:
    "mmap": ((9, 222), 3, _SHARED | _NOBODYS, (0, _SHARED, _NOBODYS)),
}
"""Calls with their numbers, which argument matters, which bits of it, and what those may be."""

_FCNTL = (72, 25)
_LEASE = 1024  # F_SETLEASE: it would keep others from files that are not the sandbox's own

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # in the `seccomp_data` of a call
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38
_X32 = 0x40000000  # on x86_64, calls of another kind have numbers from here on


def rules() -> bytes:
    """Return the rules for this machine; where we know no numbers for it, all is allowed."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return _step(_RETURN, _ALLOW)
    column = list(_ARCHITECTURES).index(machine)
    steps = [_step(_LOAD, _ARCHITECTURE_AT), _step(_EQUAL, _ARCHITECTURES[machine], yes=1)]
    steps += [_step(_RETURN, _EPERM), _step(_LOAD, _NUMBER_AT)]
    steps += _where(_AT_LEAST, _X32, [_step(_RETURN, _EPERM)])
    for answer, calls in ((_EPERM, _FORBIDDEN), (_ENOSYS, _UNKNOWN)):
        for numbers in calls.values():
            steps += _where(_EQUAL, numbers[column], [_step(_RETURN, answer)])
    for numbers, argument, bits, allowed in _ALLOWED.values():
        look = _look(argument, bits, allowed, _ALLOW, _EPERM)
        steps += _where(_EQUAL, numbers[column], look)
    steps += _where(_EQUAL, _FCNTL[column], _look(1, _ALL, (_LEASE,), _EPERM, _ALLOW))
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _where(test: int, k: int, steps: list[bytes]) -> list[bytes]:
    """Return steps that are taken where a test holds."""
    return [_step(test, k, no=len(steps)), *steps]


def _look(argument: int, bits: int, values: tuple[int, ...], among: int, else_: int) -> list[bytes]:
    """Return steps that give one answer where these bits are `among` the values, or another."""
    tests = [_step(_EQUAL, value, yes=len(values) - at) for at, value in enumerate(values)]
    load = [_step(_LOAD, _ARGUMENTS_AT + 8 * argument), _step(_AND, bits)]
    return [*load, *tests, _step(_RETURN, else_), _step(_RETURN, among)]


def _step(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    """Return a step; where it tests, `yes` and `no` are how many steps are left out then."""
    return struct.pack("=HBBI", code, yes, no, k)
