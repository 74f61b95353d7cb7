"""Training: the only room that knows Lightning and TensorBoard."""

from fastnst.machine.foreign import hidden

# Lightning takes these for its process's number as soon as it is imported, whatever is in them.
with hidden("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"):
    import lightning_fabric.utilities.rank_zero  # noqa: F401
