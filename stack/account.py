"""Which user PostgreSQL runs as. It refuses root, so root needs another account for it."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError

ACCOUNT = "assay-postgres"
"""Made on the first start as root, as a system user without a home or a shell."""

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


@dataclass(frozen=True)
class Account:
    """A user to run as.

    Attributes:
        keep: the one capability of root that the process keeps, where it could not reach its files otherwise.
    """

    user: int
    group: int
    keep: int | None = None

    def own(self, path: Path) -> None:
        """Give one file or directory to this account."""
        os.chown(path, self.user, self.group)


def account_for(data: Path, *needed: Path) -> Account | None:
    """The account for the server whose files are in ``data`` and which must also reach ``needed``; None = our own user.

    A directory that belongs to somebody already stays theirs, so that a restart finds its files.

    Raises:
        StackError: we are root, and no other account can reach the files.
    """
    if os.geteuid() != 0:
        return None
    owner = data.stat() if data.exists() else None
    user, group = (owner.st_uid, owner.st_gid) if owner is not None and owner.st_uid != 0 else _system_account()
    return reaching(user, group, data.parent, *needed)


def reaching(user: int, group: int, *needed: Path) -> Account:
    """The account of that user, with what it needs of root's rights to reach these directories.

    Raises:
        StackError: it cannot reach them.
    """
    blocked = [path for path in needed if not _reaches(path, user, group)]
    return Account(user, group, _right_to_read(blocked[0]) if blocked else None)


def _system_account() -> tuple[int, int]:
    """Our own system user; where the machine lets us make none, ``nobody``, who exists everywhere."""
    entry = _entry(ACCOUNT)
    if entry is None:
        adder = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        command = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false", ACCOUNT]
        if adder is not None:
            subprocess.run([adder, *command], capture_output=True, check=False)  # noqa: S603  fixed arguments
        entry = _entry(ACCOUNT) or pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _reaches(path: Path, user: int, group: int) -> bool:
    """Whether an ordinary user may pass through every directory up to and including this one."""
    return all(_may_search(directory.stat(), user, group) for directory in (path, *path.parents))


def _may_search(status: os.stat_result, user: int, group: int) -> bool:
    if status.st_uid == user:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == group else stat.S_IXOTH))


def _right_to_read(blocked: Path) -> int:
    """The smallest right of root that opens closed directories.

    The alternative is to open root's directories to every user of the machine, which is worse: this right ends with the
    process, and only the superuser of the database, whom no job ever is, could use it.
    """
    held = _capabilities()
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if held & (1 << capability):
            return capability
    raise StackError(
        f"PostgreSQL cannot run as root, and no other user may enter {blocked}; run Assay as an ordinary user, "
        "or put it and ASSAY_HOME into directories that other users may pass through (chmod o+x)."
    )


def _capabilities() -> int:
    if sys.platform != "linux":
        return 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
