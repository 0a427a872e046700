"""Benchmarks of fastact against the NumPy, SciPy and pure Python that it replaces.

``python -m pytest bench --benchmark-json=FILE``
    Every function, dtype and size by pytest-benchmark; ``python -m bench.summary FILE`` sums it up.
``python -m bench.compare``
    One dtype and size, with the contenders taking turns in one process: the ratios to quote.
``python -m bench.overhead``
    What a call costs beside its arithmetic, against ``numpy.negative``.
``python -m bench.train_step``
    A whole training step of an MLP and an LSTM, and where its milliseconds go.
"""
