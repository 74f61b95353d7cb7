"""Limits of memory by control groups of both versions, however deep they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastnst.machine import memory
from fastnst.machine.control_groups import free_memory

UNLIMITED = 9223372036854771712


class Machine:
    """A process's view of its groups, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.process = folder / "proc"
        self.process.mkdir()
        self.mounted = folder / "a folder"
        self.groups: list[str] = ["1:name=systemd:/", "2:cpu,cpuacct:/x"]
        self.mounts: list[str] = ["22 1 0:5 / /proc rw - proc proc rw"]

    def mount(self, type: str, root: str, options: str, place: str = "") -> Path:
        mounted = self.mounted / place
        mounted.mkdir(parents=True, exist_ok=True)
        escaped = str(mounted).replace(" ", "\\040")
        self.mounts.append(f"30 22 0:9 {root} {escaped} rw shared:3 - {type} {type} rw,{options}")
        return mounted

    def free(self) -> int | None:
        (self.process / "cgroup").write_text("\n".join(self.groups) + "\n")
        (self.process / "mountinfo").write_text("\n".join(self.mounts) + "\n")
        return free_memory(self.process)


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def second(folder: Path, limit: object, used: int, cache: int = 0, high: object = "max") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.high").write_text(f"{high}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")


def first(folder: Path, limit: int, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"inactive_file 1\ntotal_inactive_file {cache}\n")


def test_a_limit_of_version_1_counts(machine):
    machine.groups.append("4:memory:/docker/abc")
    mounted = machine.mount("cgroup", "/", "memory", "memory")
    machine.mount("cgroup", "/", "cpu", "cpu")
    first(mounted, UNLIMITED, 5_000)
    first(mounted / "docker" / "abc", 900, 300, 100)
    assert machine.free() == 700


def test_in_a_container_of_version_1_its_own_group_is_the_root(machine):
    machine.groups.append("4:memory:/docker/abc")
    first(machine.mount("cgroup", "/docker/abc", "memory"), 900, 300)
    assert machine.free() == 600


def test_the_tightest_of_nested_limits_of_version_2_counts(machine):
    machine.groups.append("0::/system.slice/slurmstepd.scope/job_1/step_0/user/task_0")
    mounted = machine.mount("cgroup2", "/", "nsdelegate")
    slurm = mounted / "system.slice" / "slurmstepd.scope"
    second(slurm / "job_1", 1_000, 600, 50)
    second(slurm / "job_1" / "step_0", "max", 600)
    second(slurm / "job_1" / "step_0" / "user", 2_000, 600)
    second(slurm / "job_1" / "step_0" / "user" / "task_0", "max", 600)
    assert machine.free() == 450
    # What is throttled above a mark is no memory to be had.
    second(slurm / "job_1" / "step_0" / "user" / "task_0", "max", 600, 0, 700)
    assert machine.free() == 100


def test_the_root_of_a_namespace_of_version_2_counts(machine):
    machine.groups.append("0::/")
    second(machine.mount("cgroup2", "/", "nsdelegate"), 1_000, 400)
    assert machine.free() == 600


def test_a_group_that_is_not_seen_here_counts_by_the_root(machine):
    machine.groups.append("0::/../../user.slice")
    second(machine.mount("cgroup2", "/", "nsdelegate"), 1_000, 400)
    assert machine.free() == 600


def test_both_versions_at_once_are_looked_at(machine):
    machine.groups += ["4:memory:/job", "0::/job"]
    first(machine.mount("cgroup", "/", "memory", "memory") / "job", 900, 300)
    machine.mount("cgroup2", "/", "rw", "unified")
    assert machine.free() == 600


def test_more_taken_than_allowed_leaves_nothing_and_no_limit_is_none(machine):
    machine.groups.append("0::/a")
    mounted = machine.mount("cgroup2", "/", "rw")
    assert machine.free() is None
    second(mounted / "a", "max", 400)
    assert machine.free() is None
    second(mounted / "a", 300, 400)
    assert machine.free() == 0


def test_where_there_are_no_groups_there_is_no_limit(tmp_path):
    assert free_memory(tmp_path) is None


def test_the_memory_that_is_planned_with_heeds_them(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 12_345)
    assert memory.available_memory() == 12_345
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert memory.available_memory() > 1_000_000
