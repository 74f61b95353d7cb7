"""From picture to picture with a trained network."""

from fastnst.stylize.stylizer import Stylizer

__all__ = ["Stylizer"]
