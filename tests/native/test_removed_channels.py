"""Networks that have lost their dead channels give, in the engine, the outputs of the networks that have them."""

from __future__ import annotations

import numpy as np
import pytest
from dead_channels import dead_network

from host_engine import HostEngine
from smidgen.blob.writer import write_blob
from smidgen.plan import make_plan
from smidgen.plan.channels import remove_constant_channels
from smidgen.reference import run_network


@pytest.mark.parametrize("seed", range(120))
def test_engine_gives_the_outputs_of_the_whole_network(engine: HostEngine, seed: int) -> None:
    network, random = dead_network(seed), np.random.default_rng(seed)
    engine.load(write_blob(make_plan(remove_constant_channels(network))))
    shape = network.tensors[0].shape
    for sample in (random.integers(-128, 128, shape), random.choice([-128, 127], shape)):
        inputs = [sample.astype(np.int8)]
        np.testing.assert_array_equal(engine.run(inputs)[0].reshape(-1), run_network(network, inputs)[0].reshape(-1))
