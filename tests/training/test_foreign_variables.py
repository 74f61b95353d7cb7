"""Variables of Lightning's, SLURM's and others' that are not meant for fastnst."""

from __future__ import annotations

import contextlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only

from fastnst.config import TrainConfig
from fastnst.errors import ConfigError
from fastnst.machine.foreign import hidden
from fastnst.training import launch
from fastnst.training.ranks import Ranks
from fastnst.training.trainer import Known, build_trainer

CONFIG = TrainConfig(style=(Path("a.jpg"),), data="x", steps=20)
# What the shell of "srun --ntasks-per-node=4 --pty bash" has in its environment.
SHELL = {
    "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "bash", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "localhost",
}  # fmt: skip
# Of LSF's jobs, of MPI's processes and of a shell that torchrun once started.
OTHERS = {
    "LSB_JOBID": "7", "LSB_DJOB_RANKFILE": "/nowhere", "JSM_NAMESPACE_LOCAL_RANK": "1",
    "JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3",
    "NODE_RANK": "2", "GROUP_RANK": "2", "WORLD_SIZE": "4",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_foreign_variables(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("PL_", "SLURM_")):
            monkeypatch.delenv(name)


def trainer() -> pl.Trainer:
    return build_trainer(CONFIG, torch.device("cpu"), "float32", None, [], Ranks())


def test_variables_of_lightnings_say_nothing_of_a_run(monkeypatch):
    for name in inspect.signature(pl.Trainer).parameters:
        monkeypatch.setenv(f"PL_TRAINER_{name.upper()}", "3")
    monkeypatch.setenv("PL_TRAINER_LOGGER", "True")
    built = trainer()
    assert not built.fast_dev_run
    assert (built.max_steps, built.accumulate_grad_batches, built.num_nodes) == (20, 1, 1)
    assert (built.limit_train_batches, built.gradient_clip_algorithm) == (1.0, None)
    assert os.environ["PL_TRAINER_MAX_STEPS"] == "3"


@pytest.mark.parametrize("variables", [SHELL, OTHERS])
def test_variables_of_clusters_make_no_run_one_of_several(variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    built = trainer()
    environment = built._accelerator_connector.cluster_environment
    assert isinstance(environment, Known)
    assert (built.world_size, built.global_rank, rank_zero_only.rank) == (1, 0, 0)


def test_a_rank_that_is_no_number_is_nobodys():
    program = "import fastnst.training, pytorch_lightning; print('imported')"
    environment = {**os.environ, "RANK": "captain", "LOCAL_RANK": "", "SLURM_PROCID": "x"}
    child = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert child.stdout == "imported\n"


@pytest.mark.parametrize(
    "change",
    [
        {}, {"SLURM_JOB_NAME": "interactive"}, {"SLURM_JOB_NAME": "x", "SLURM_PTY_PORT": "1"},
        {"SLURM_JOB_NAME": "x", "SLURM_STEP_ID": "4294967290"},
        {"SLURM_JOB_NAME": "x", "SLURM_NTASKS": "1"}, {"SLURM_NTASKS": ""},
    ],
)  # fmt: skip
def test_what_is_typed_into_a_shell_of_slurms_trains_alone(change, monkeypatch):
    for name, value in {**SHELL, **change}.items():
        monkeypatch.setenv(name, value)
    with launch.joined(CONFIG) as ranks:
        assert (ranks.rank, ranks.count) == (0, 1)


def test_what_srun_itself_has_started_is_one_of_several_whatever_its_job_is_called(monkeypatch):
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_TASK_PID", str(os.getpid()))
    assert launch._environment() is not None
    monkeypatch.setenv("SLURM_TASK_PID", str(os.getppid()))
    assert launch._environment() is None


def test_a_number_that_is_none_is_named(monkeypatch):
    for name, value in {**SHELL, "SLURM_NTASKS": "4(x2)"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"SLURM_NTASKS is '4\(x2\)', not a number; unset"):
        launch._environment()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="no distributed")
def test_a_process_that_waits_for_others_says_for_whom_and_how_to_do_without(monkeypatch):
    for name, value in {**SHELL, "SLURM_JOB_NAME": "train.sh"}.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []

    def wait(*arguments: object, **options: object) -> None:
        while not said:
            launch.threading.Event().wait(0.01)
        raise RuntimeError("timed out")

    monkeypatch.setattr(launch, "QUIET", 0.01)
    monkeypatch.setattr(launch.dist, "init_process_group", wait)
    with (
        pytest.raises(launch.TrainingError, match="don't find each other"),
        launch.joined(CONFIG, said.append),
    ):
        pass
    [line] = said
    assert "waiting for 3 other processes that SLURM is to start, 20 minutes at most" in line
    assert "env -u SLURM_STEP_ID fastnst train" in line


def test_hidden_variables_come_back_whatever_happens(monkeypatch):
    monkeypatch.setenv("PL_A", "1")
    monkeypatch.setenv("OTHER", "2")
    with contextlib.suppress(KeyError), hidden("PL_"):
        assert "PL_A" not in os.environ
        assert os.environ["OTHER"] == "2"
        raise KeyError
    assert os.environ["PL_A"] == "1"
