"""How a run's processes are started, told by what starts them: torchrun or SLURM."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import torch
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import distributed as dist

from fastnst.config import TrainConfig
from fastnst.errors import ConfigError, TrainingError
from fastnst.machine.notify import Notify, silent
from fastnst.training.ranks import PATIENCE, Ranks

# How gloo's and NCCL's errors, which are RuntimeErrors, say that another process is gone.
LOST = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "socket")


# Steps of SLURM's that srun doesn't make: a job's script and its shell (slurm.h), by their numbers.
OTHER_STEPS = 0xFFFFFFF0
# Names of jobs that are shells, in which one of a step's tasks alone runs what is typed.
SHELLS = frozenset((
    "bash", "sh", "dash", "zsh", "ksh", "csh", "tcsh", "fish", "interactive", "sinteractive",
))  # fmt: skip
# Seconds after which it is said that the others are waited for.
QUIET = 5.0


@contextlib.contextmanager
def joined(config: TrainConfig, notify: Notify = silent) -> Iterator[Ranks]:
    """The processes that train together, as long as the block lasts. ``notify`` gets a line where
    the others don't come at once.

    Raises ConfigError where they are others than ``devices``, ``nodes`` and ``strategy`` say, and
    TrainingError where they don't find each other.
    """
    environment = _environment()
    if environment is None:
        _refuse_to_be_alone(config)
        yield Ranks()
        return
    count, local = environment.world_size(), environment.local_rank()
    here = _count_here(environment)
    _check_asked(config, count, here)
    os.environ["MASTER_ADDR"] = environment.main_address
    os.environ["MASTER_PORT"] = str(environment.main_port)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    waits = threading.Timer(QUIET, _tell_of_waiting, (environment, notify))
    waits.daemon = True
    waits.start()
    try:
        dist.init_process_group(
            backend, rank=environment.global_rank(), world_size=count, timeout=PATIENCE
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the {count} processes don't find each other at {environment.main_address}:"
            f"{environment.main_port} ({str(error).splitlines()[0]})"
        ) from error
    finally:
        waits.cancel()
    try:
        yield Ranks(environment.global_rank(), count, local, here)
    finally:
        dist.destroy_process_group()


def _environment() -> ClusterEnvironment | None:
    """What has started several processes, if anything has."""
    if TorchElasticEnvironment.detect():
        environment: ClusterEnvironment = TorchElasticEnvironment()
    elif _is_a_task():
        if "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise ConfigError("SLURM: give --ntasks-per-node, not --ntasks alone")
        environment = SLURMEnvironment(auto_requeue=False)
    else:
        return None
    return environment if environment.world_size() > 1 else None


def _is_a_task() -> bool:
    """Whether SLURM has started this process as one of several, rather than a script or a shell
    that somebody types into, and that has started this one alone.
    """
    # Only srun makes steps: a script of several tasks that calls fastnst itself is one process.
    step, tasks = _number("SLURM_STEP_ID", OTHER_STEPS), _number("SLURM_NTASKS", 1)
    if step >= OTHER_STEPS or tasks < 2:
        return False
    if os.environ.get("SLURM_TASK_PID") == str(os.getpid()):
        return True
    typed = {"SLURM_PTY_PORT", "SLURM_PTY_WIN_COL"} & set(os.environ)
    return not typed and os.environ.get("SLURM_JOB_NAME") not in SHELLS


def _number(name: str, default: int) -> int:
    """A variable that is a number. Raises ConfigError for another one."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise ConfigError(f"the variable {name} is '{text}', not a number; unset {name}")
    return int(text)


def _tell_of_waiting(environment: ClusterEnvironment, notify: Notify) -> None:
    if environment.global_rank():
        return
    others, minutes = environment.world_size() - 1, PATIENCE.total_seconds() / 60
    of_slurm = isinstance(environment, SLURMEnvironment)
    alone = "env -u SLURM_STEP_ID fastnst train ..." if of_slurm else "start it without torchrun"
    notify(
        f"waiting for {others} other processes that {'SLURM' if of_slurm else 'torchrun'} is to "
        f"start, {minutes:.0f} minutes at most; to train alone: {alone}"
    )


def _count_here(environment: ClusterEnvironment) -> int:
    slurm = isinstance(environment, SLURMEnvironment)
    return _number("SLURM_NTASKS_PER_NODE" if slurm else "LOCAL_WORLD_SIZE", 1)


def _refuse_to_be_alone(config: TrainConfig) -> None:
    devices, nodes = config.devices or 1, config.nodes or 1
    if devices * nodes > 1 or config.strategy == "ddp":
        asked = "--strategy ddp" if devices * nodes == 1 else f"{devices * nodes} processes"
        raise ConfigError(
            f"{asked}, but this one was started alone: start them by 'torchrun --nproc-per-node "
            f"{max(devices, 2)} -m fastnst train ...', or by srun (docs/clusters.md)"
        )


def _check_asked(config: TrainConfig, count: int, here: int) -> None:
    nodes = count // here
    if (config.devices or here) != here or (config.nodes or nodes) != nodes:
        raise ConfigError(
            f"--devices and --nodes ask for {config.devices or here} processes on each of "
            f"{config.nodes or nodes} machines, but {here} were started on each of {nodes}"
        )


def device_of(ranks: Ranks, device: torch.device) -> torch.device:
    """The device of this process where ``device`` is what all of them take.

    Raises ConfigError where there are too few.
    """
    if ranks.count == 1 or device.type == "cpu":
        return device
    if str(device) != "cuda":
        raise ConfigError(f"several processes train on 'cuda' or 'cpu', not on '{device}'")
    if ranks.local_count > torch.cuda.device_count():
        raise ConfigError(
            f"{ranks.local_count} processes, but {torch.cuda.device_count()} GPUs on this machine"
        )
    torch.cuda.set_device(ranks.local)
    return torch.device("cuda", ranks.local)


@contextlib.contextmanager
def naming_lost_ranks(ranks: Ranks, save: Callable[[], str] = lambda: "") -> Iterator[None]:
    """TrainingError where another process of the run is gone; ``save`` keeps what can be kept, and
    says how to go on with it.
    """
    try:
        yield
    except RuntimeError as error:
        if ranks.count == 1 or not any(word in str(error).lower() for word in LOST):
            raise
        raise TrainingError(
            f"process {ranks.rank} of {ranks.count}: another one of them has ended{save()}"
        ) from error
