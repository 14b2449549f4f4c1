"""The NumPy reference executor: the definition of correct that every engine has to equal."""

from smidgen.reference.executor import run_network, run_steps

__all__ = ["run_network", "run_steps"]
