"""A sitting of a base's training: it goes on from the last one, and ends with a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fastnst.checkpoint.contents import BANK_KEY, halved, load_checkpoint, save_checkpoint
from fastnst.checkpoint.description import FORMAT_VERSION, KEY
from fastnst.config import TrainConfig
from fastnst.machine.notify import Notify, silent
from fastnst.networks.modules import new_network
from fastnst.perceptual.losses import PerceptualLoss, style_targets
from fastnst.perceptual.weights import load_backbone
from fastnst.photos.collection import find_photos, fingerprint, hold_out
from fastnst.training.base.bank import Bank
from fastnst.training.base.styles import style_pictures
from fastnst.training.budget import WARMUP_STEPS, Budget, style_share
from fastnst.training.data.dataset import PhotoDataset
from fastnst.training.optimizer import build_optimizer, clip_gradients
from fastnst.training.plan import IMAGE_SIZE
from fastnst.training.record.describe import loss_options, versions
from fastnst.training.setup import choose_precision
from fastnst.training.spectrum import Spectrum
from fastnst.training.step import Objective, step_losses

# Share of a sitting in which the learning rate falls to nothing: the trunk settles between styles.
COOL_DOWN = 0.4
LEARNING_RATE = 1e-2
SAVE_EVERY = 200
# Steps over which the style's share rises, as in training: from fresh weights and from a base.
FRESH_RAMP, RAMP = 1000, 300
# Steps that the loss that is told is a mean over, about.
MEAN_OF = 200


@dataclass(frozen=True)
class BaseConfig:
    """A sitting: photographs as ``--data`` names them, the checkpoint to write, folders of styles;
    its length in minutes, or in steps where they are given; names of styles to leave out, and an
    earlier base that a first sitting starts from.
    """

    photos: str
    output: Path
    styles: Sequence[Path]
    minutes: float = 30
    steps: int | None = None
    leave_out: Sequence[str] = ()
    network: str = "fast"
    image_size: int = IMAGE_SIZE
    init: Path | None = None

    @property
    def state(self) -> Path:
        """The file that keeps everything between two sittings."""
        return self.output.with_suffix(".state")


def train_base(config: BaseConfig, notify: Notify = silent) -> None:
    """Train a base and write its checkpoint.

    Raises a FastnstError for photographs, styles or an earlier base that can't be read.
    """
    sitting = _Sitting(config, notify)
    sitting.resume()
    sitting.train()
    save_checkpoint(sitting.contents(), config.output)


class _Sitting:
    """The state of a base's training: all but its numbers is made anew in each sitting."""

    def __init__(self, config: BaseConfig, notify: Notify) -> None:
        self.config, self.notify = config, notify
        self.settings = TrainConfig(style=(Path("many"),), data=config.photos)
        self.photos = find_photos(config.photos)
        self.dataset = PhotoDataset(hold_out(self.photos)[0], config.image_size, seed=1)
        torch.manual_seed(0)
        start = load_checkpoint(config.init) if config.init else None
        self.network = (start.network() if start else new_network(config.network)).train()
        self.precision = choose_precision(self.settings.precision, torch.device("cpu"))
        size = self.settings.style_size
        styles = list(style_pictures(config.styles, set(config.leave_out), size))
        self.names = [name for name, _ in styles]
        images = [image for _, image in styles]
        losses = style_losses(images, self.settings, self.precision)
        spectra = [Spectrum([image]) for image in images]
        self.objectives = list(map(Objective, losses, spectra))
        self.bank = Bank(self.network, len(styles))
        if start:
            self.bank.adopt(start, self.names)
        self.ramp = RAMP if start else FRESH_RAMP
        rate = LEARNING_RATE
        self.optimizer = build_optimizer(self.settings.optimizer, self.bank.parameters(), rate)
        self.step, self.spent = 0, 0.0
        seconds = None if config.steps else 60 * config.minutes
        self.budget = Budget(config.steps, seconds)

    def resume(self) -> None:
        """Go on from the last sitting, where there was one."""
        if self.config.state.exists():
            state = torch.load(self.config.state, weights_only=True)
            with torch.no_grad():
                for parameter, value in zip(
                    self.bank.parameters(), state["parameters"], strict=True
                ):
                    parameter.copy_(value)
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.spent = state["step"], state["seconds"]
        count, photos = len(self.objectives), len(self.dataset.files)
        self.notify(f"{count} styles, {photos} photographs, from step {self.step}")

    def train(self) -> None:
        """Take steps until the sitting is over."""
        first, mean = self.step, 0.0
        self.budget.start()
        while self.budget.progress(self.step - first) < 1:
            content = self.dataset[self.step].images.float() / 255
            self.set_rate(1 - self.budget.progress(self.step - first))
            loss = self.take_step(content)
            mean += (loss - mean) / min(self.step, MEAN_OF)
            if self.step % SAVE_EVERY == 0:
                minutes = self.seconds() / 60
                self.notify(f"step {self.step}: mean loss {mean:.3f}, {minutes:.1f} min")
                self.save()
        self.save()

    def set_rate(self, left: float) -> None:
        """Warm up as any run does, and cool down over the end of the sitting."""
        factor = min(1.0, (self.step + 1) / WARMUP_STEPS, max(0.0, left / COOL_DOWN))
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * factor

    def take_step(self, content: Tensor) -> float:
        """One step on content (1, 3, H, W), 0..1, for a style by chance; its loss."""
        style = style_of(self.step, len(self.objectives))
        share = style_share(1.0, self.step / self.ramp)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            losses = step_losses(
                self.bank.wearing(style), self.objectives[style], content,
                self.settings, self.step, share,
            )  # fmt: skip
            total = losses.total(self.settings)
        # Styles that this step didn't show have no gradient, and Adam leaves them alone.
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        clip_gradients(self.bank.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        self.step += 1
        return float(losses.parts.total.detach())

    def seconds(self) -> float:
        """Of all sittings."""
        return self.spent + self.budget.elapsed()

    def save(self) -> None:
        """Keep everything for the next sitting."""
        state = {
            "parameters": [parameter.detach() for parameter in self.bank.parameters()],
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds(),
        }
        torch.save(state, self.config.state)

    def contents(self) -> dict[str, object]:
        """The base as a checkpoint."""
        bank, network = self.bank, self.network
        norms = {name: values.half() for name, values in bank.norms().items()}
        seconds = round(self.seconds(), 1)
        return {
            "state_dict": {f"network.{n}": value for n, value in halved(bank.base()).items()},
            BANK_KEY: {"styles": self.names, "norms": norms},
            KEY: {
                "format_version": FORMAT_VERSION,
                "network": {"kind": network.kind, "options": network.options},
                "style": [{"name": f"base of {len(self.names)} styles"}],
                "loss": loss_options(self.settings),
                "backbone": {"name": "embedded", "origin": ""},
                "data": {"photos": len(self.photos), "sha256": fingerprint(self.photos)},
                "training": {"steps": self.step, "images": self.step, "seconds": seconds},
                "losses": {},
                "versions": versions(),
            },
        }


def style_of(step: int, styles: int) -> int:
    """Which style a step is for: the same in any sitting."""
    return int(torch.randint(styles, (1,), generator=torch.Generator().manual_seed(step)))


def style_losses(
    images: Sequence[Tensor], config: TrainConfig, precision: str
) -> list[PerceptualLoss]:
    """A loss for each style image (1, 3, H, W), 0..1; they share one backbone."""
    backbone = load_backbone("embedded")
    losses = [
        PerceptualLoss(backbone, style_targets(backbone, [image], config), config)
        for image in images
    ]
    # The targets are computed in float32, as in build_loss.
    if precision == "bfloat16":
        backbone.convolutions.to(torch.bfloat16)
    return losses
