"""What the machine lets the process have, read from trees of files like those of Linux."""

import pytest

from fastact._machine import CACHE, cpu_quota, last_level_cache


def write(root, files):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")
    return root


V2 = {"proc/self/cgroup": "0::/user/app"}
V1 = {"proc/self/cgroup": "7:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/docker/x"}


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, 0),
        ({"proc/self/cgroup": ""}, 0),
        (V2, 0),
        (V2 | {"sys/fs/cgroup/user/app/cpu.max": "max 100000"}, 0),
        (V2 | {"sys/fs/cgroup/user/app/cpu.max": "200000 100000"}, 2),
        (V2 | {"sys/fs/cgroup/user/app/cpu.max": "150000 100000"}, 2),
        (V2 | {"sys/fs/cgroup/user/app/cpu.max": "5000 100000"}, 1),
        (
            V2
            | {"sys/fs/cgroup/user/app/cpu.max": "max 100000"}
            | {"sys/fs/cgroup/user/cpu.max": "300000 100000"},
            3,
        ),
        (V2 | {"sys/fs/cgroup/cpu.max": "400000 100000"}, 4),  # as a container sees its own
        (V1, 0),
        (
            V1
            | {"sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "250000"}
            | {"sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000"},
            3,
        ),
        (
            V1
            | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}
            | {"sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            0,
        ),
    ],
)
def test_cpu_quota(tmp_path, files, cpus):
    assert cpu_quota(write(tmp_path, files)) == cpus


def test_last_level_cache(tmp_path):
    cache = "sys/devices/system/cpu/cpu0/cache"
    assert last_level_cache(tmp_path) == CACHE
    sizes = {"index0": "32K", "index1": "32K", "index2": "1024K", "index3": "32768K"}
    assert last_level_cache(
        write(tmp_path, {f"{cache}/{k}/size": v for k, v in sizes.items()})
    ) == (32 << 20)
    assert last_level_cache(write(tmp_path, {f"{cache}/index4/size": "1G"})) == 1 << 30
    write(tmp_path, {f"{cache}/{k}/size": "?" for k in (*sizes, "index4")})
    assert last_level_cache(tmp_path) == CACHE
