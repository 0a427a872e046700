"""Benchmarks of fastact against what it replaces, and against its peers.

``python -m pytest bench --benchmark-json=FILE``
    Every function beside NumPy, SciPy and pure Python, by pytest-benchmark, each for itself;
    ``python -m bench.summary FILE`` sums it up.
``python -m bench``
    The activations beside every array library, taking turns in one process: the ratios to quote.
    docs/benchmarks.md says how to read them.
``python -m bench.overhead``
    What a call costs beside its arithmetic, against ``numpy.negative``.
``python -m bench.threads``
    When threads and stores past the caches pay.
``python -m bench.train_step``
    A whole training step of an MLP and an LSTM, and where its milliseconds go.
"""
