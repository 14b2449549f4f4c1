"""A training loop made of the parts of `smidgen.train`, which a TOML file describes: `smidgen train CONFIG.toml`."""

from smidgen.train.recipe.config import Config, read_config
from smidgen.train.recipe.data import Data
from smidgen.train.recipe.measure import Row
from smidgen.train.recipe.run import RunRecord, run_recipe
from smidgen.train.recipe.summary import Spread, SummaryRow, plot_summary, summarize

__all__ = [
    "Config",
    "Data",
    "Row",
    "RunRecord",
    "Spread",
    "SummaryRow",
    "plot_summary",
    "read_config",
    "run_recipe",
    "summarize",
]
