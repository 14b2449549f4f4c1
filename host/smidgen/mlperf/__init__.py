"""MLPerf Tiny on a board (docs/mlperf.md): a device under test for the official runner, and a runner of its own.

candidate = open_candidate("kws.smg")
with device_under_test(candidate, "sim:unix") as dut:
    print(measure_performance(candidate, dut, samples_of_blob(candidate), 10, 1).median_throughput)
"""

from smidgen.mlperf.benchmarks import BENCHMARKS, Benchmark, find_benchmark
from smidgen.mlperf.candidate import Candidate, open_candidate
from smidgen.mlperf.runner import Accuracy, Performance, measure_accuracy, measure_performance
from smidgen.mlperf.samples import BenchmarkSamples, load_samples, samples_of_blob
from smidgen.mlperf.under_test import DeviceUnderTest, device_under_test

__all__ = [
    "BENCHMARKS",
    "Accuracy",
    "Benchmark",
    "BenchmarkSamples",
    "Candidate",
    "DeviceUnderTest",
    "Performance",
    "device_under_test",
    "find_benchmark",
    "load_samples",
    "measure_accuracy",
    "measure_performance",
    "open_candidate",
    "samples_of_blob",
]
