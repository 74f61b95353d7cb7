"""A network's passes over a picture of any size, as memory allows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from fastnst.engines.choose import is_exact
from fastnst.engines.engine import Engine
from fastnst.machine.memory import is_out_of_memory
from fastnst.networks.architecture import SMALLEST
from fastnst.strips.network import STRIP, StripNetwork
from fastnst.strips.plan import ARRAY, Pass, Plan, plan_picture, plan_strips
from fastnst.stylize.bands import BAND, Pixels, Size
from fastnst.stylize.coarse_to_fine import Network
from fastnst.stylize.file_options import FileOptions


class Passes:
    """Passes for a picture of the size ``full``, in one go or in strips, as memory allows; ``news``
    is what is worth telling of them.
    """

    def __init__(self, options: FileOptions, full: Size) -> None:
        self.options, self.full = options, full
        self.news: list[str] = []

    def of(self, engine: Engine) -> Network:
        """The passes of an engine: its results for the pixels (H, W, 3) that are decoded."""
        return partial(self._one, engine)

    def _one(self, engine: Engine, size: Size, decode: Callable[[], Pixels]) -> Pixels:
        options = self.options
        height, width = size
        exact = is_exact(width * height, engine.precision)
        # The photograph, where it is needed once more, and a weaker style's other picture.
        needed = size != self.full or options.effects.blends or options.mask is not None
        pictures = needed + (0 < options.effects.strength < 1)
        others = ARRAY * self.full[0] * self.full[1] * pictures
        work = Pass(engine.layers, width, height, engine.name, exact, others)
        plan = plan_picture(work, options.max_memory, options.tile)
        if plan.rows is None or min(size) < SMALLEST:
            # In a list, so that strips may have it to themselves.
            held = [decode()]
            decode = held.pop
            try:
                return engine(held[0])
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or options.tile == "off":
                    raise
            # Out of the handler, which would keep the failed attempt's memory.
            self.news.append("not enough memory for the whole picture")
            plan = plan_strips(work, STRIP)
        return self._in_strips(engine, plan, decode)

    def _in_strips(self, engine: Engine, plan: Plan, decode: Callable[[], Pixels]) -> Pixels:
        assert plan.rows is not None
        engine.release()
        strips = strip_network(engine, plan)
        result = strips(decode)
        if strips.rows < plan.rows:
            self.news.append(f"not enough memory for strips of {plan.rows} rows")
        self.news.append(f"in strips of {strips.rows} rows, about {plan.bytes / 1e9:.1f} GB")
        return result


def strip_network(engine: Engine, plan: Plan) -> StripNetwork:
    """An engine's network in the strips of a plan."""
    assert plan.rows is not None
    return StripNetwork(engine.layers, engine.weights, engine, plan.rows, plan.dtype, plan.spare)


def taken_pixels(picture: Image.Image) -> Pixels:
    """A picture's bytes, copied in parts, since NumPy's own way takes them twice; it is closed."""
    bands = np.asarray(picture.crop((0, 0, 1, 1))).shape[2:]
    pixels = np.empty((picture.height, picture.width, *bands), np.uint8)
    for top in range(0, picture.height, BAND):
        box = (0, top, picture.width, min(picture.height, top + BAND))
        pixels[box[1] : box[3]] = np.asarray(picture.crop(box))
    picture.close()
    return pixels
