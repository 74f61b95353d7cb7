"""Every hyper-parameter: its type, default, unit, meaning and the reason for its default.

Flags override a YAML file, which overrides the defaults here. Standard library only, so that
``fastnst --help`` costs nothing.
"""

from fastnst.config.loss import LossConfig, StyleConfig
from fastnst.config.optimize import OptimizeConfig, PreviewConfig
from fastnst.config.train import TrainConfig

__all__ = ["LossConfig", "OptimizeConfig", "PreviewConfig", "StyleConfig", "TrainConfig"]
