"""Options of ``fastnst train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastnst.config.fields import option, require
from fastnst.config.loss import StyleConfig, name_of
from fastnst.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig(StyleConfig):
    """Options of ``fastnst train``, the loss's among them."""

    data: str = option(
        "", "photographs: a folder (flat or nested), a text file of paths, or a glob in quotes"
    )
    output: Path | None = option(
        None, "the checkpoint to write (default: the style's name .ckpt in the current folder)"
    )
    overwrite: bool = option(False, "replace an existing --output")
    steps: int | None = option(None, "optimizer steps to train for")
    minutes: float | None = option(
        None, "minutes to train for, the schedule fitting itself to them (default: 10)"
    )
    image_size: int | None = option(
        None,
        "side of the square training crops in pixels (default: 128 with --steps; with --minutes, "
        "as large as leaves steps enough on this machine)",
    )
    batch_size: int | None = option(
        None,
        "photographs a step; instance norm does not mix them, so one is enough (default: 1, and "
        "more where --minutes leaves steps in plenty)",
    )
    network: Literal["fast", "johnson"] = option(
        "fast", "transfer network: 'fast' (0.24 M parameters) or 'johnson' (1.68 M)"
    )
    style_ramp: float | None = option(
        None,
        "share of the run, 0..1, over which the style weight rises from a fiftieth to its full "
        "value: a fresh network under the full weight learns texture first and the picture last "
        "(default: 0.3, and 0.1 from a network that knows pictures already)",
        before=0.0,
    )
    stability_weight: float = option(
        1.0,
        "multiplier of shift consistency, which asks that strokes move with the picture: higher is "
        "calmer in a video, with fewer checkerboard artifacts and less texture; 0 for none",
        before=0.0,
    )
    spectrum_weight: float = option(
        0.3,
        "multiplier of the spectrum loss, the distance to the painting's spectrum in its finest "
        "octaves: fewer periodic artifacts in flat areas; 0 for none",
        before=0.0,
    )
    gradient_clip: float = option(
        1.0,
        "largest norm of a step's gradient, 0 for none: one photograph of unusual contrast would "
        "otherwise outweigh hundreds, the style loss being quartic in it",
        before=0.0,
    )
    optimizer: Literal["muon", "adam"] = option(
        "muon",
        "'muon', which makes the most of every step, or 'adam', as in the papers",
        before="adam",
    )
    learning_rate: float = option(
        2e-2, "learning rate at its highest; 'adam' wants a lower one, such as 4e-3"
    )
    no_early_stop: bool = option(
        False, "use up all --minutes, even where photographs held out say that nothing is gained"
    )
    schedule: Literal["cosine", "constant"] = option(
        "cosine", "learning rate over the run: a short warm-up, then a cosine to 0 or constant"
    )
    seed: int = option(0, "seed of the fresh weights and of the order and crops of the photographs")
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "arithmetic: 'auto' takes bfloat16 where the hardware has it"
    )
    devices: int | None = option(
        None,
        "processes on each machine that train together, one a GPU, or several on a CPU (default: "
        "as many as torchrun or SLURM have started; see docs/clusters.md)",
    )
    nodes: int | None = option(None, "machines that train together (default: as above)")
    strategy: Literal["auto", "ddp"] = option(
        "auto",
        "how processes train together: 'ddp', each with photographs of its own and the mean of all "
        "gradients, which refuses to train alone; 'auto', the same where there are several",
    )
    workers: int = option(
        0, "processes that decode photographs; 0 decodes in a thread beside the training"
    )
    photo_cache: str = option(
        "auto",
        "where photographs are kept small, so that only the first pass decodes large files: a "
        "folder, 'off', or 'auto', the user's cache where they are large enough to gain by it",
    )
    init: str = option(
        "base",
        "network to start from: 'base', one that has learned many styles and learns another "
        "sooner; 'none', fresh weights; or a checkpoint, or the name of a shipped style",
    )
    resume: Path | None = option(
        None,
        "run to go on with: its last.ckpt, its folder or one of several, of which the newest is "
        "taken, or 'auto', the newest run of this style if there is any; what isn't given is as it "
        "was",
    )
    log_dir: Path = option(Path("runs"), "folder of the run folders, for tensorboard --logdir")
    name: str | None = option(None, "the run's name (default: the style's)")
    log_every: int = option(10, "steps between two rows in TensorBoard")
    validation_photos: int = option(
        2,
        "held-out photographs for which the iterations of optimization that the network is worth "
        "are logged while it trains; their optima take seconds each, once for a style; 0 for none, "
        "and for no likeness",
    )
    save_every: float = option(
        1.0, "minutes between two saves of last.ckpt in the run folder, from which to resume"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise ConfigError("no photographs: give a folder, list or glob with --data PATH")
        if self.steps is not None and self.minutes is not None:
            raise ConfigError("give --steps or --minutes, not both")
        require("steps", self.steps, minimum=1)
        require("minutes", self.minutes, minimum=0.01)
        # Below 32 pixels the deepest default layer sees too few positions to have statistics.
        for name in ("image_size", "style_size"):
            require(name, getattr(self, name), minimum=32, maximum=4096)
        for name in ("batch_size", "log_every"):
            require(name, getattr(self, name), minimum=1, maximum=100_000)
        require("devices", self.devices, minimum=1, maximum=1024)
        require("nodes", self.nodes, minimum=1, maximum=100_000)
        require("workers", self.workers, minimum=0, maximum=64)
        require("seed", self.seed, minimum=0, maximum=2**32 - 1)
        require("learning_rate", self.learning_rate, minimum=1e-9, maximum=10)
        require("style_ramp", self.style_ramp, minimum=0, maximum=1)
        require("gradient_clip", self.gradient_clip, minimum=0)
        require("stability_weight", self.stability_weight, minimum=0)
        require("spectrum_weight", self.spectrum_weight, minimum=0)
        require("save_every", self.save_every, minimum=0)
        require("validation_photos", self.validation_photos, minimum=0, maximum=20)

    @property
    def run_name(self) -> str:
        """The run's name: ``name``, else the style images' names joined by '+'."""
        return self.name or name_of(self.style)

    @property
    def output_path(self) -> Path:
        """The checkpoint to write."""
        return self.output or Path(f"{self.run_name}.ckpt")
