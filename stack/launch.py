"""The last steps between fork and exec, as a script of its own: ``python -I -S launch.py OPTIONS -- COMMAND ...``.

The supervisor has threads, and Python code between fork and exec of a threaded process can deadlock; so these steps run
in the child's own fresh interpreter, which then becomes the command:

1. ``--user UID --group GID``: stop being root; ``--keep CAPABILITY`` keeps one right of root (Linux).
2. ``--death SIGNAL --parent PID``: ask the kernel to send the signal when the parent dies, however it dies (Linux).
   This comes after the change of user, which clears it.

Imports nothing of the project and little of the standard library: it runs for every part.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522

GONE = 70
"""Exit status when the parent died before the kernel had been asked."""


def main(arguments: list[str]) -> None:
    """Take the steps, then become the command."""
    split = arguments.index("--")
    options = dict(zip(arguments[:split:2], arguments[1:split:2], strict=True))
    command = arguments[split + 1 :]
    if "--user" in options:
        _become(int(options["--user"]), int(options["--group"]), options.get("--keep"))
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, int(options["--death"]))
    if os.getppid() != int(options["--parent"]):
        sys.exit(GONE)
    os.execv(command[0], command)  # noqa: S606  that is its purpose


def _become(user: int, group: int, keep: str | None) -> None:
    if keep is not None:
        _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    if keep is not None:
        _keep_only(int(keep))


def _keep_only(capability: int) -> None:
    """Keep one capability, and keep it through exec (ambient); all others are gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *values: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)][:4]
    if libc.prctl(ctypes.c_int(option), *words) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    main(sys.argv[1:])
