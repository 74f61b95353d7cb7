"""Several processes that train together: as one would with all their photographs a step."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest
import torch
from helpers import make_picture

from fastnst.checkpoint.contents import load_checkpoint
from fastnst.cli import main
from fastnst.config import TrainConfig
from fastnst.errors import ConfigError, DataError, ToldElsewhereError
from fastnst.machine.signals import EndRequest
from fastnst.training import launch
from fastnst.training import run as training_run
from fastnst.training import setup as training_setup
from fastnst.training.budget import Budget
from fastnst.training.data.dataset import EndlessBatches
from fastnst.training.module import StyleTraining
from fastnst.training.ranks import Clock, Ranks

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="no distributed")


def in_rank(arguments, environment, log, fault) -> None:
    """What a process of torchrun's does, with its stderr in a file."""
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 2)
    torch.set_num_threads(1)
    training_run.PANEL_SIZE = 32  # As in the process of the tests.
    if fault is not None:
        fault()
    os._exit(main(arguments))


class Run:
    """``fastnst`` in two processes, started as torchrun starts them."""

    def __init__(self, context, folder: Path, arguments, fault=None, of_second=None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder.mkdir(exist_ok=True)
        self.logs = [folder / f"rank{rank}.log" for rank in range(2)]
        self.processes = []
        for rank, log in enumerate(self.logs):
            environment = {
                "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": 2,
                "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
                "TORCHELASTIC_RUN_ID": "test",
            }  # fmt: skip
            given = of_second if rank == 1 and of_second else arguments
            names = {name: str(value) for name, value in environment.items()}
            process = context.Process(target=in_rank, args=(given, names, str(log), fault))
            process.start()
            self.processes.append(process)

    def ended(self, seconds: float = 100) -> list[int | None]:
        """The exit codes, once both have ended."""
        until = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.1, until - time.monotonic()))
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        return codes

    def said(self) -> list[str]:
        return [log.read_text() for log in self.logs]

    def wait_for(self, found, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not found() and time.monotonic() < until:
            time.sleep(0.02)
        assert found(), self.said()


def weights(path: Path) -> dict[str, torch.Tensor]:
    return {name: value.float() for name, value in load_checkpoint(path).weights.items()}


def last_of(folder: Path) -> Path:
    (last,) = folder.rglob("last.ckpt")
    return last


def without(arguments: list[str], *names: str) -> list[str]:
    for name in names:
        place = arguments.index(name)
        arguments = arguments[:place] + arguments[place + 2 :]
    return arguments


@pytest.fixture
def alone_args(tiny_args, tmp_path) -> list[str]:
    return [
        *without(tiny_args, "--log-dir", "--batch-size"),
        "--steps",
        "20",
        "--learning-rate",
        "2e-3",
    ]


def test_two_with_one_photograph_are_one_with_two(forkserver, alone_args, tmp_path, capsys):
    """Instance norm and all losses are a picture's own, so only sums are rounded otherwise."""
    one, two = tmp_path / "one", tmp_path / "two"
    together = [*alone_args, "--batch-size", "1", "--log-dir", str(two), "--output",
                str(tmp_path / "two.ckpt"), "--save-every", "0"]  # fmt: skip
    run = Run(forkserver, two, together)
    assert main([*alone_args, "--batch-size", "2", "--log-dir", str(one), "--output",
                 str(tmp_path / "one.ckpt")]) == 0  # fmt: skip
    assert run.ended() == [0, 0], run.said()
    first, second = run.said()
    assert "in each of 2 processes" in first
    assert "checkpoint: " in first
    assert second == ""
    alone, shared = load_checkpoint(last_of(one)), load_checkpoint(last_of(two))
    assert (alone.step, shared.step) == (20, 20)
    assert shared.info["training"]["images"] == alone.info["training"]["images"] == 40
    for name, loss in alone.info["losses"].items():
        assert shared.info["losses"][name] == pytest.approx(loss, rel=5e-3), name
    for name, value in weights(last_of(one)).items():
        # Shifts whose gradient is next to nothing go where its rounding points.
        if value.ndim > 1:
            apart = (weights(last_of(two))[name] - value).norm() / value.norm()
            # A skip begins at zero: it is nothing but what was learned.
            assert apart < (0.2 if ".skip." in name else 2e-2), name
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        painted = [checkpoint.network().eval()(picture) for checkpoint in (alone, shared)]
    assert (painted[0] - painted[1]).abs().mean() < 1 / 255
    assert (painted[0] - picture).abs().mean() > 5 / 255
    assert len(list(two.rglob("events.*"))) >= 1
    # With another number of processes each batch would be another one.
    capsys.readouterr()
    resume = [*alone_args, "--batch-size", "1", "--log-dir", str(one), "--output",
              str(tmp_path / "x.ckpt"), "--resume", str(last_of(two))]  # fmt: skip
    resume[resume.index("20")] = "30"
    assert main(resume) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "can't resume with other settings: processes was 2, is 1" in line


def breaks_the_second() -> None:
    """One process meets a loss that is no number: after two steps, and thrice after its fifth."""
    real, done = StyleTraining.losses, []

    def losses(self, content):
        parts = real(self, content)
        if self.ranks.rank == 1 and self.global_step in (2, 5, 6, 7) and len(done) < 4:
            done.append(self.global_step)
            broken = {**parts.terms, "style": parts.terms["style"] * float("nan")}
            parts = parts.with_numbers([parts.total * float("nan"), *broken.values(),
                                        *parts.numbers()[1 + len(broken) :]])  # fmt: skip
        return parts

    StyleTraining.losses = losses


def test_all_go_back_where_one_has_gone_astray(forkserver, alone_args, photos, tmp_path):
    (photos / "photo03.jpg").write_bytes(b"no picture")
    arguments = [*alone_args, "--batch-size", "1", "--log-dir", str(tmp_path / "logs"),
                 "--output", str(tmp_path / "x.ckpt")]  # fmt: skip
    arguments[arguments.index("20")] = "14"
    run = Run(forkserver, tmp_path / "logs", arguments, breaks_the_second)
    assert run.ended() == [0, 0], run.said()
    first, second = run.said()
    assert first.count("going back to the weights of step") == 1
    assert "step 3: the style loss is not a finite number; such steps are left out" in first
    assert "step 8: the style loss is not a finite number; going back" in first
    # Whichever process met it.
    (listed,) = (tmp_path / "logs").rglob("bad_files.txt")
    assert "photo03.jpg: not a readable picture" in listed.read_text()
    assert second == ""
    assert all(bool(torch.isfinite(v).all()) for v in weights(tmp_path / "x.ckpt").values())


def test_an_error_of_one_ends_both_and_is_told_once(forkserver, alone_args, tmp_path):
    arguments = [*alone_args, "--batch-size", "1", "--log-dir", str(tmp_path / "logs"),
                 "--output", str(tmp_path / "x.ckpt")]  # fmt: skip
    place = arguments.index("--data") + 1
    second = [*arguments[:place], str(tmp_path / "elsewhere"), *arguments[place + 1 :]]
    (tmp_path / "elsewhere").mkdir()
    run = Run(forkserver, tmp_path / "logs", arguments, of_second=second)
    assert run.ended() == [2, 2]
    assert run.said()[0].count("\n") == 1
    assert "elsewhere: no pictures" in run.said()[0]
    assert run.said()[1] == ""
    make_picture(60, 60).save(tmp_path / "elsewhere" / "one.jpg")
    run = Run(forkserver, tmp_path / "again", arguments, of_second=second)
    assert run.ended() == [2, 2]
    assert "processes 0 and 1 differ in data: all need the same files" in run.said()[0]


def ends_the_second() -> None:
    """One process dies before there is anything to train."""
    real = training_setup.read_styles

    def read_styles(config, *others):
        if os.environ["RANK"] == "1":
            os._exit(9)
        return real(config, *others)

    training_setup.read_styles = read_styles


def test_where_one_dies_early_the_other_says_so_in_a_line(forkserver, alone_args, tmp_path):
    arguments = [*alone_args, "--batch-size", "1", "--log-dir", str(tmp_path / "logs"),
                 "--output", str(tmp_path / "x.ckpt")]  # fmt: skip
    run = Run(forkserver, tmp_path / "logs", arguments, ends_the_second)
    assert run.ended() == [1, 9]
    (line,) = run.said()[0].splitlines()
    assert line == "fastnst: error: process 0 of 2: another one of them has ended"


@pytest.mark.long
@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_is_killed_the_other_ends_and_the_run_goes_on(
    forkserver, alone_args, tmp_path, victim
):
    logs = tmp_path / "logs"
    arguments = [*alone_args, "--batch-size", "1", "--log-dir", str(logs), "--save-every", "0",
                 "--output", str(tmp_path / "x.ckpt")]  # fmt: skip
    arguments[arguments.index("20")] = "2000"
    run = Run(forkserver, logs, arguments)
    run.wait_for(lambda: list(logs.rglob("last.ckpt")))
    time.sleep(1)
    started = time.monotonic()
    os.kill(run.processes[victim].pid, signal.SIGKILL)
    codes = run.ended(60)
    assert time.monotonic() - started < 60
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == 1
    told = [line for line in run.said()[1 - victim].splitlines() if "error" in line]
    assert len(told) == 1
    assert f"of 2: another one of them has ended; go on with --resume {last_of(logs)}" in told[0]
    before = load_checkpoint(last_of(logs)).step
    assert before > 1
    arguments[arguments.index("2000")] = str(before + 5)
    resumed = [*without(arguments, "--log-dir"), "--log-dir", str(tmp_path / "more"),
               "--resume", str(last_of(logs))]  # fmt: skip
    again = Run(forkserver, tmp_path / "more", resumed)
    assert again.ended() == [0, 0], again.said()
    assert load_checkpoint(last_of(tmp_path / "more")).step == before + 5


@pytest.mark.long
def test_a_signal_to_one_ends_both_at_the_same_step(forkserver, alone_args, tmp_path):
    logs = tmp_path / "logs"
    arguments = [*alone_args, "--batch-size", "1", "--log-dir", str(logs), "--save-every", "0",
                 "--output", str(tmp_path / "x.ckpt")]  # fmt: skip
    arguments[arguments.index("20")] = "2000"
    run = Run(forkserver, logs, arguments)
    run.wait_for(lambda: list(logs.rglob("last.ckpt")))
    for _ in range(2):  # As torchrun repeats what the terminal has sent already.
        os.kill(run.processes[1].pid, signal.SIGTERM)
    assert run.ended(60) == [143, 143]
    assert "ended early after" in run.said()[0]
    assert run.said()[1] == ""


# By itself.


def test_the_parts_of_all_are_the_batches_of_one():
    parts = [iter(EndlessBatches(2, 5, rank, 3)) for rank in range(3)]
    whole = iter(EndlessBatches(6, 5))
    for _ in range(4):
        assert sorted(n for part in parts for n in next(part)) == next(whole)


def test_one_process_agrees_with_itself():
    ranks, numbers = Ranks(), torch.tensor([1.0, 2.0])
    assert ranks.first
    assert ranks.mean(numbers) is numbers
    assert ranks.gathered("x") == ["x"]
    assert (ranks.decided(lambda: 3), ranks.in_turn(lambda: 4)) == (3, 4)
    assert (ranks.highest(2), ranks.total(5)) == (2, 5)
    with pytest.raises(DataError), ranks.as_one():
        raise DataError("told as it is")
    clock = Clock(ranks)
    clock.tick()
    assert clock() < clock() or clock() <= time.monotonic()


def test_a_common_error_is_told_by_the_first():
    error, second = DataError("none can be read"), Ranks()
    assert Ranks().common(error) is error
    second.rank = 1
    told = second.common(error)
    assert isinstance(told, ToldElsewhereError)
    assert told.exit_code == error.exit_code


def test_the_budget_goes_by_the_clock_that_it_is_given():
    now = [100.0]
    budget = Budget.of(TrainConfig(style=(Path("a.jpg"),), data="x", minutes=1))
    budget.clock = lambda: now[0]
    budget.start()
    now[0] += 15
    assert (budget.elapsed(), budget.progress(7), budget.begun) == (15, 0.25, 100)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"devices": 2}, "2 processes, but this one was started alone: .* --nproc-per-node 2"),
        ({"devices": 4, "nodes": 2}, "8 processes, but this one was started alone"),
        ({"strategy": "ddp"}, "--strategy ddp, but this one was started alone"),
    ],
)
def test_a_process_on_its_own_does_not_pass_for_several(options, line):
    config = TrainConfig(style=(Path("a.jpg"),), data="x", **options)
    with pytest.raises(ConfigError, match=line), launch.joined(config):
        pass


def test_what_was_started_is_what_was_asked_for(monkeypatch):
    config = TrainConfig(style=(Path("a.jpg"),), data="x", devices=4)
    with pytest.raises(ConfigError, match="4 processes on each of 2 machines, but 2 were started"):
        launch._check_asked(config, 4, 2)
    launch._check_asked(TrainConfig(style=(Path("a.jpg"),), data="x", nodes=2), 4, 2)


def test_slurm_is_known_by_its_steps_alone(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert launch._environment() is None
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    with pytest.raises(ConfigError, match="--ntasks-per-node"):
        launch._environment()
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_LOCALID", "1")
    environment = launch._environment()
    assert (environment.world_size(), environment.global_rank()) == (4, 3)
    assert launch._count_here(environment) == 2


def test_a_signal_and_its_echo_are_one():
    with EndRequest(echo=5) as request:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert request.received == signal.SIGTERM


def test_devices_are_a_process_s_own():
    two = Ranks()
    two.count = two.local_count = 2
    assert launch.device_of(two, torch.device("cpu")) == torch.device("cpu")
    for name in ("cuda:1", "mps"):
        with pytest.raises(ConfigError, match="train on 'cuda' or 'cpu', not on"):
            launch.device_of(two, torch.device(name))
