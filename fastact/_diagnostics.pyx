# cython: embedsignature=True
"""The census of arrays, for `fastact.diagnostics`, which checks them."""

from fastact._kernels cimport FASTACT_CENSUS_PLACES_F32, FASTACT_CENSUS_PLACES_F64, fastact_census
from fastact._ufuncs cimport active_kernels
cimport numpy as cnp

import numpy as np

cnp.import_array()

FOUND = np.dtype(
    {
        "names": [
            "rms", "norm", "largest", "zeros", "subnormal", "nan", "positive_infinity",
            "negative_infinity", "first_nonfinite", "sampled",
        ],
        "formats": 3 * ["f8"] + 7 * ["i8"],
        "itemsize": sizeof(fastact_census),
    }
)  # fmt: skip


def census(list arrays):
    """What each array holds: an array of FOUND, and a histogram of exponents for each.

    Arrays are of float32 or float64, contiguous in memory in any order of axes, native, aligned.
    """
    cdef cnp.ndarray found = np.zeros(len(arrays), FOUND), x, histogram
    cdef fastact_census *to = <fastact_census *>cnp.PyArray_DATA(found)
    cdef const void *data
    cdef cnp.int64_t *counts
    cdef size_t n
    cdef int k, place = 0
    cdef cnp.npy_intp[2] places = [FASTACT_CENSUS_PLACES_F32, FASTACT_CENSUS_PLACES_F64]
    histograms = []
    for x in arrays:
        k = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64
        if (not k and cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT32) or not cnp.PyArray_ISBEHAVED_RO(x):
            raise TypeError(f"no kernel for dtype {x.dtype}")
        histogram = cnp.PyArray_ZEROS(1, &places[k], cnp.NPY_INT64, 0)
        data, counts, n = cnp.PyArray_DATA(x), <cnp.int64_t *>cnp.PyArray_DATA(histogram), cnp.PyArray_SIZE(x)
        with nogil:
            active_kernels().axis.census[k](data, n, to + place, counts)
        histograms.append(histogram)
        place += 1
    return found, histograms
