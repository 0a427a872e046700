# cython: embedsignature=True
"""Kernels along an axis and over channels, for `fastact._softmax`, `losses`, `normalization` and `fused`.

Thin on purpose: arguments are checked and made contiguous there, the kernels are C (csrc/).
"""

from cpython.mem cimport PyMem_Malloc
from fastact._kernels cimport (
    fastact_axis_kernels,
    fastact_bias,
    fastact_chosen,
    fastact_norm,
    fastact_normalize,
    FASTACT_AXIS_DTYPES,
    FASTACT_LOG_SOFTMAX,
    FASTACT_LOG_SOFTMAX_BACKWARD,
    FASTACT_LOGSUMEXP,
    FASTACT_NORM_SUMS,
    FASTACT_SOFTMAX,
    FASTACT_SOFTMAX_BACKWARD,
    FASTACT_SPARSEMAX,
    FASTACT_SPARSEMAX_BACKWARD,
    FASTACT_SPARE,
)
from fastact._ufuncs cimport active_kernels
cimport numpy as cnp

import numpy as np

from fastact import _ufuncs

cnp.import_array()
cnp.import_umath()

cdef int[2] type_numbers = [cnp.NPY_FLOAT32, cnp.NPY_FLOAT64]


cdef int dtype_index(cnp.ndarray a) except -1:
    """The kernels' number for the dtype of an array that they may read."""
    for k in range(<int>FASTACT_AXIS_DTYPES):
        if cnp.PyArray_TYPE(a) == type_numbers[k] and cnp.PyArray_ISBEHAVED_RO(a):
            return k
    raise TypeError(f"no kernel for dtype {a.dtype}")


# --- ufuncs --------------------------------------------------------------------------------------

cdef struct LoopData:
    int kernel
    int dtype
    int operands
    int option


cdef void loop(char **operands, cnp.npy_intp *shape, cnp.npy_intp *strides, void *data) noexcept nogil:
    cdef LoopData *d = <LoopData *>data
    cdef const fastact_axis_kernels *kernels = active_kernels().axis
    cdef const Py_ssize_t *outer = <const Py_ssize_t *>strides
    cdef Py_ssize_t step[3]
    step[0], step[1], step[2] = outer[d.operands], 0, 0
    step[1] = 0 if d.kernel == FASTACT_LOGSUMEXP else outer[d.operands + 1]
    if d.operands == 3:
        step[2] = outer[d.operands + 2]
    kernels.along[d.kernel][d.dtype](operands, outer, step, shape[0], shape[1], d.option)


cdef void losses(char **operands, cnp.npy_intp *shape, cnp.npy_intp *strides, void *data) noexcept nogil:
    cdef LoopData *d = <LoopData *>data
    cdef const Py_ssize_t *outer = <const Py_ssize_t *>strides
    active_kernels().axis.cross_entropy[d.dtype](
        operands, outer, outer + d.operands, shape[0], shape[1], d.option
    )


cdef void binary_losses(char **operands, cnp.npy_intp *shape, cnp.npy_intp *strides, void *data) noexcept nogil:
    cdef LoopData *d = <LoopData *>data
    active_kernels().axis.binary_cross_entropy[d.dtype](
        operands, <const Py_ssize_t *>strides, shape[0], d.kernel, d.option
    )


ctypedef void (*Loop)(char **, cnp.npy_intp *, cnp.npy_intp *, void *) noexcept nogil
keep_alive = []  # NumPy borrows the name and the signature of a ufunc


cdef make_ufunc(
    Loop run, str name, str signature, int kernel, int option=0, int label=-1
):
    """A ufunc over float32 and float64; the operand `label` is of int64."""
    cdef int operands = signature.count("("), inputs = signature.split("->")[0].count("(")
    cdef LoopData *data = <LoopData *>PyMem_Malloc(FASTACT_AXIS_DTYPES * sizeof(LoopData))
    cdef void **pointers = <void **>PyMem_Malloc(FASTACT_AXIS_DTYPES * sizeof(void *))
    cdef char *types = <char *>PyMem_Malloc(FASTACT_AXIS_DTYPES * operands)
    cdef cnp.PyUFuncGenericFunction *loops = <cnp.PyUFuncGenericFunction *>PyMem_Malloc(
        FASTACT_AXIS_DTYPES * sizeof(cnp.PyUFuncGenericFunction)
    )
    if data == NULL or pointers == NULL or types == NULL or loops == NULL:
        raise MemoryError
    for k in range(<int>FASTACT_AXIS_DTYPES):
        data[k] = LoopData(kernel, k, operands, option)
        pointers[k] = &data[k]
        loops[k] = <cnp.PyUFuncGenericFunction>run
        for operand in range(operands):
            types[k * operands + operand] = <char>(cnp.NPY_INT64 if operand == label else type_numbers[k])
    cdef bytes name_bytes = name.encode(), signature_bytes = signature.encode()
    keep_alive.append((name_bytes, signature_bytes))
    return cnp.PyUFunc_FromFuncAndDataAndSignature(
        loops, pointers, types, FASTACT_AXIS_DTYPES, inputs, operands - inputs, cnp.PyUFunc_None, name_bytes,
        b"", 0, signature_bytes,
    )


softmax = make_ufunc(loop, "softmax", "(n)->(n)", FASTACT_SOFTMAX)
softmax_masked_zero = make_ufunc(loop, "softmax_masked_zero", "(n)->(n)", FASTACT_SOFTMAX, 1)
softmax_backward = make_ufunc(loop, "softmax_backward", "(n),(n)->(n)", FASTACT_SOFTMAX_BACKWARD)
log_softmax = make_ufunc(loop, "log_softmax", "(n)->(n)", FASTACT_LOG_SOFTMAX)
log_softmax_masked_zero = make_ufunc(loop, "log_softmax_masked_zero", "(n)->(n)", FASTACT_LOG_SOFTMAX, 1)
log_softmax_backward = make_ufunc(loop, "log_softmax_backward", "(n),(n)->(n)", FASTACT_LOG_SOFTMAX_BACKWARD)
logsumexp = make_ufunc(loop, "logsumexp", "(n)->()", FASTACT_LOGSUMEXP)
sparsemax = make_ufunc(loop, "sparsemax", "(n)->(n)", FASTACT_SPARSEMAX)
sparsemax_masked_zero = make_ufunc(loop, "sparsemax_masked_zero", "(n)->(n)", FASTACT_SPARSEMAX, 1)
sparsemax_backward = make_ufunc(loop, "sparsemax_backward", "(n),(n)->(n)", FASTACT_SPARSEMAX_BACKWARD)

# x, weights of the classes (a step of 0 for none), label, its weight, scale of the gradient
cross_entropy = make_ufunc(losses, "cross_entropy", "(n),(n),(),(),()->()", 0, 0, 2)
cross_entropy_with_gradient = make_ufunc(
    losses, "cross_entropy_with_gradient", "(n),(n),(),(),()->(),(n)", 0, 1, 2
)

# x, target, weight of the positive class, weight, scale of the gradient
cdef int log_sigmoid = next(row["row"] for row in _ufuncs.rows() if row["name"] == "log_sigmoid")
binary_cross_entropy = make_ufunc(
    binary_losses, "binary_cross_entropy_with_logits", "(),(),(),(),()->()", log_sigmoid
)
binary_cross_entropy_with_gradient = make_ufunc(
    binary_losses, "binary_cross_entropy_with_logits_with_gradient", "(),(),(),(),()->(),()", log_sigmoid, 1
)


# --- normalisation and bias, with an activation after them ------------------------------------------

cdef void *data_or_null(cnp.ndarray a):
    return NULL if a is None else cnp.PyArray_DATA(a)


cdef int choose(fastact_chosen *to, tuple activation) except -1:
    to.row = activation[0]
    for k, parameter in enumerate(activation[1]):
        to.parameter[k] = parameter
    return 0


def normalize(
    str which, tuple shape, cnp.ndarray x, cnp.ndarray out, cnp.ndarray mean, cnp.ndarray spread,
    tuple activation=(-1, ()), *, grad=None, gamma=None, beta=None, double eps=0, bint centred=True,
    dgamma=None, dbeta=None
):
    """Run the kernel `which`: "forward", "inference" or "backward".

    Every array is contiguous in memory and of one dtype, or None where that kernel has no use for it.
    x, grad and out are seen as `shape` = (samples, rows, channels, run); statistics, (samples,
    channels / pool), are over rows, run and `pool`, the fifth number of `shape`, adjacent channels.
    `activation` is a row of the table, -1 for none, and its parameters; only one sample has it. A
    mean that is not `centred` is taken to be 0.
    """
    cdef int k = dtype_index(x)
    cdef const fastact_axis_kernels *kernels = active_kernels().axis
    cdef fastact_normalize kernel
    cdef cnp.ndarray sums = None
    if which == "forward":
        kernel = kernels.normalize[k]
    elif which == "inference":
        kernel = kernels.normalize_inference[k]
    else:
        kernel = kernels.normalize_backward[k]
        sums = np.zeros(<int>FASTACT_NORM_SUMS * (shape[2] + <int>FASTACT_SPARE))
    cdef fastact_norm task = fastact_norm(
        x=data_or_null(x), grad=data_or_null(grad), gamma=data_or_null(gamma), beta=data_or_null(beta),
        out=data_or_null(out), mean=data_or_null(mean), spread=data_or_null(spread),
        dgamma=data_or_null(dgamma), dbeta=data_or_null(dbeta), sums=<double *>data_or_null(sums),
        samples=shape[0], rows=shape[1], channels=shape[2], run=shape[3], pool=shape[4],
        eps=eps, centred=centred,
    )
    choose(&task.activation, activation)
    with nogil:
        kernel(&task)


def bias_activation(
    tuple shape, cnp.ndarray x, cnp.ndarray bias, tuple activation, cnp.ndarray out, *, grad=None, dbias=None
):
    """Run the kernel, for the gradients where there is a `grad`; arguments as above, not empty."""
    cdef int k = dtype_index(x)
    cdef cnp.ndarray sums = None if grad is None else np.zeros(2 * (shape[1] + FASTACT_SPARE))
    cdef fastact_bias task = fastact_bias(
        x=data_or_null(x), grad=data_or_null(grad), bias=data_or_null(bias), out=data_or_null(out),
        dbias=data_or_null(dbias),
        sums=<double *>data_or_null(sums), rows=shape[0], channels=shape[1], run=shape[2],
    )
    choose(&task.activation, activation)
    with nogil:
        active_kernels().axis.bias_activation[k](&task)
