from pathlib import Path

import pytest

from podworker.configuration.cgroups import cpu_quotas, memory_limits

NO_LIMIT_V1 = "9223372036854771712\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_nothing_there(tmp_path: Path) -> None:
    assert cpu_quotas(tmp_path) == []
    assert memory_limits(tmp_path) == []


def test_version_2_in_a_container(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/memory.max": "1073741824\n",
        },
    )
    assert cpu_quotas(root) == [2.5]
    assert memory_limits(root) == [1073741824]


def test_version_2_without_limits(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/cgroup/memory.max": "max\n",
        },
    )
    assert cpu_quotas(root) == []
    assert memory_limits(root) == []


def test_version_2_nested(tmp_path: Path) -> None:
    """Every level up to the mount counts, also above a level without files; a sibling does not."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/kubepods/pod1/worker\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/kubepods/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/kubepods/memory.max": "4000\n",
            "sys/fs/cgroup/kubepods/pod1/worker/cpu.max": "800000 100000\n",
            "sys/fs/cgroup/kubepods/pod1/worker/memory.max": "max\n",
            "sys/fs/cgroup/kubepods/pod2/cpu.max": "100000 100000\n",
        },
    )
    assert cpu_quotas(root) == [8.0, 3.0]
    assert memory_limits(root) == [4000]


def test_version_1(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/a\n2:cpu,cpuacct:/a/b\n1:name=systemd:/\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us": "50000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2000\n",
        },
    )
    assert cpu_quotas(root) == [3.0]
    assert min(memory_limits(root)) == 2000


def test_version_1_where_the_path_is_the_hosts(tmp_path: Path) -> None:
    """Docker shows the host's path of the group, but mounts the group itself at the top."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/0123\n2:cpu:/docker/0123\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "3000\n",
        },
    )
    assert cpu_quotas(root) == [2.0]
    assert memory_limits(root) == [3000]


def test_version_1_beside_version_2(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/a\n0::/x\n",
            "sys/fs/cgroup/unified/cgroup.controllers": "\n",
            "sys/fs/cgroup/unified/x/memory.max": "5000\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "6000\n",
        },
    )
    assert sorted(memory_limits(root)) == [5000, 6000]


def test_a_group_out_of_view(tmp_path: Path) -> None:
    """A path that leaves the container's view must not lead to files outside of the mount."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/../../other\n",
            "other/cpu.max": "100000 100000\n",
            "sys/fs/other/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu\n",
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
        },
    )
    assert cpu_quotas(root) == [4.0]


@pytest.mark.parametrize("text", ["", "max", "0 100000", "100000 0", "100000", "-1 100000", "a lot"])
def test_odd_files_set_no_limit(tmp_path: Path, text: str) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "strange\n0::/\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu\n",
            "sys/fs/cgroup/cpu.max": text,
            "sys/fs/cgroup/memory.max": "0\n",
        },
    )
    assert cpu_quotas(root) == []
    assert memory_limits(root) == []
