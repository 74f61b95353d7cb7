"""A checkpoint to an ONNX file that was run before it got its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastnst import __version__
from fastnst.checkpoint.description import style_name
from fastnst.checkpoint.mixing import Mixture
from fastnst.errors import ConfigError, ExportError
from fastnst.export.onnx_graph import Io, described, is_half, onnx_model
from fastnst.export.verify import Difference, differences
from fastnst.machine.files import atomic_write, is_stream, is_taken, make_writable, reason


@dataclass(frozen=True)
class ExportOptions:
    """``io`` is ``fastnst.export.onnx_graph.Io``; ``half`` stores kernels in float16, by default
    where they are float16's numbers already, as a finished checkpoint's are.
    """

    io: Io = "uint8-hwc"
    half: bool | None = None
    overwrite: bool = False


def check_target(target: Path, overwrite: bool) -> None:
    """Raises ConfigError, before anything is computed, where the file could not be written."""
    if target.is_dir():
        raise ConfigError(f"{target}: is a folder; --output names the file")
    if is_taken(target) and not overwrite:
        raise ConfigError(f"{target}: exists already; --overwrite replaces it")
    try:
        if not is_stream(target):
            make_writable(target.parent)
    except OSError as error:
        raise ConfigError(f"{target.parent}: can't be written to ({reason(error)})") from error


def export_onnx(
    mixture: Mixture,
    target: Path,
    options: ExportOptions,
    tell: Callable[[Difference], None],
) -> int:
    """Write ``target``, once ONNX Runtime gives what PyTorch gives; the file's bytes.

    ``tell`` gets each size's difference. Raises ExportError, and writes nothing, where one is more
    than rounding, or where the file can't be written; ConfigError without the extra ``export``.
    """
    network = mixture.info["network"]
    half = is_half(mixture.weights) if options.half is None else options.half
    if half and not _fits_half(mixture):
        raise ConfigError("--weights float16: some weights are too large for it; take float32")
    properties = {
        "fastnst.version": __version__,
        "fastnst.style": style_name(mixture.info),
        "fastnst.name": mixture.name,
        "fastnst.network": described(network["kind"], network["options"]),
        "fastnst.licence": "that of the checkpoint it was made of; the styles' own is MIT",
    }
    kind = network["kind"], network["options"]
    content = onnx_model(*kind, mixture.weights, options.io, half, properties)
    found = differences(content, network, mixture.weights, options.io)
    for difference in found:
        tell(difference)
    wrong = [f"{d.height} x {d.width}" for d in found if not d.passes]
    if wrong:
        raise ExportError(
            f"{target}: not written, since ONNX Runtime's result is not PyTorch's at "
            f"{', '.join(wrong)} (height x width)"
        )
    try:
        with atomic_write(target, options.overwrite) as file:
            file.write(content)
    except FileExistsError:
        raise ExportError(f"{target}: another program has written it meanwhile") from None
    except OSError as error:
        raise ExportError(f"{target}: can't be written ({reason(error)})") from error
    return len(content)


def _fits_half(mixture: Mixture) -> bool:
    return all(float(np.abs(value).max()) < 65504 for value in mixture.weights.values())
