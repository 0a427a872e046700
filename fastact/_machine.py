"""What the machine lets the process have: CPU time and caches, as Linux tells it."""

from __future__ import annotations

import math
from pathlib import Path

__all__ = ["cpu_quota", "last_level_cache"]

CACHE = 32 << 20  # bytes, where the system does not tell
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def cpu_quota(root: Path = Path("/")) -> int:
    """How many CPUs the cgroups of the process let it keep busy, rounded up; 0 without a limit.

    A container sees its own cgroup at the top, whatever /proc says, so that is looked at as well.
    """
    quotas = [0.0]
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            mount, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            mount, read = root / "sys/fs/cgroup/cpu", _quota_v1
        else:
            continue
        group = mount / path.strip("/")
        while True:  # a group has no more than those that it is in
            quotas.append(read(group))
            if group == mount:
                break
            group = group.parent
    return math.ceil(min((quota for quota in quotas if quota > 0), default=0))


def _quota_v2(group: Path) -> float:
    """CPUs, or 0 for no limit."""
    words = " ".join(_lines(group / "cpu.max")).split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else 0


def _quota_v1(group: Path) -> float:
    """CPUs, or 0 for no limit, which is written as -1."""
    quota, period = (
        int("".join(_lines(group / f"cpu.cfs_{name}_us")) or 0) for name in ("quota", "period")
    )
    return quota / period if quota > 0 and period > 0 else 0


def last_level_cache(root: Path = Path("/")) -> int:
    """Bytes of the largest cache that a CPU sees.

    Not sysconf(_SC_LEVEL3_CACHE_SIZE): virtual machines make glibc multiply it.
    """
    caches = (root / "sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((_bytes("".join(_lines(path))) for path in caches), default=0) or CACHE


def _bytes(size: str) -> int:
    """Of "32768K"."""
    number, unit = size[:-1], size[-1:]
    return int(number) * _UNITS[unit] if number.isdigit() and unit in _UNITS else 0


def _lines(path: Path) -> list[str]:
    """Of a file that may not be there, or not for us."""
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
