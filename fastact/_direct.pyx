"""Calls that reach a kernel past NumPy's ufunc machinery, where that machinery has nothing to do.

Operands that are arrays of one dtype, shape and order, whole, and apart from each other, need no casting, no broadcasting,
no iterator and no override; finding that out costs NumPy more than a hundred elements cost a kernel. What is left of a
ufunc's call is done here: outputs, floating-point errors, the interpreter's lock. Whatever else comes goes to NumPy.
"""

from cpython.ref cimport PyObject
from fastact._kernels cimport FASTACT_MAX_OPERANDS, FASTACT_MAX_PARAMETERS
from fastact._ufuncs cimport F32_LOOP, F64_LOOP, LoopData, call_kernel
from libc.stdint cimport uintptr_t
from libc.string cimport memcmp
cimport numpy as cnp

# Borrowed references throughout: counting them takes as long as looking at them.
cdef extern from "Python.h":
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject **, size_t, PyObject *)
    ctypedef struct PyThreadState
    PyObject *Py_None
    bint PyTuple_CheckExact(PyObject *)
    Py_ssize_t PyTuple_GET_SIZE(PyObject *)
    PyObject *PyTuple_GET_ITEM(PyObject *, Py_ssize_t)
    PyObject *PyTuple_New(Py_ssize_t)
    void PyTuple_SET_ITEM(PyObject *, Py_ssize_t, PyObject *)
    PyObject *PyTuple_Pack(Py_ssize_t, ...)
    Py_ssize_t PyVectorcall_NARGS(size_t nargsf)
    PyThreadState *PyEval_SaveThread() nogil
    void PyEval_RestoreThread(PyThreadState *) nogil
    void Py_INCREF(PyObject *)
    void Py_XDECREF(PyObject *)

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArrayObject
    ctypedef struct PyArray_Descr
    bint PyArray_CheckExact(PyObject *)
    PyArray_Descr *PyArray_DESCR(PyArrayObject *)
    PyArray_Descr *PyArray_DescrFromType(int)
    int PyArray_FLAGS(PyArrayObject *)
    int PyArray_TYPE(PyArrayObject *)
    int PyArray_NDIM(PyArrayObject *)
    cnp.npy_intp *PyArray_DIMS(PyArrayObject *)
    cnp.npy_intp PyArray_SIZE(PyArrayObject *)
    char *PyArray_BYTES(PyArrayObject *)
    PyObject *PyArray_EMPTY(int, cnp.npy_intp *, int, int)

cdef extern from "numpy/ufuncobject.h":
    ctypedef struct PyUFuncObject:
        int nin, nout
        void **data
        const char *name
        vectorcallfunc vectorcall
    enum:
        NPY_FPE_DIVIDEBYZERO
        NPY_FPE_OVERFLOW
        NPY_FPE_UNDERFLOW
        NPY_FPE_INVALID
    int PyUFunc_GiveFloatingpointErrors(const char *, int)

cdef extern from "fpflags.h" nogil:
    enum:
        FLAG_DIVIDE
        FLAG_OVERFLOW
        FLAG_UNDERFLOW
        FLAG_INVALID
    unsigned fpflags_get()
    void fpflags_set(unsigned)

cnp.import_array()
cnp.import_umath()

cdef enum:
    ORDERS = cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS
    LOCKED = 500  # elements for which NumPy, too, keeps the interpreter's lock
cdef str OUT = "out"
cdef PyArray_Descr *float32 = PyArray_DescrFromType(cnp.NPY_FLOAT32)
cdef PyArray_Descr *float64 = PyArray_DescrFromType(cnp.NPY_FLOAT64)


cdef struct Operands:
    PyArrayObject *array[FASTACT_MAX_OPERANDS]  # inputs, then outputs
    int inputs, count
    PyArrayObject *first
    int orders  # those of ORDERS that all of them have


cdef bint add(Operands *o, PyObject *value) noexcept:
    """Takes one more operand, if it is as the first one is."""
    cdef PyArrayObject *array = <PyArrayObject *>value
    cdef int dimensions
    if not PyArray_CheckExact(value):
        return False
    dimensions = PyArray_NDIM(o.first)
    o.orders &= PyArray_FLAGS(array)
    o.array[o.count] = array
    o.count += 1
    return (
        o.orders != 0
        and PyArray_FLAGS(array) & cnp.NPY_ARRAY_ALIGNED
        and PyArray_DESCR(array) == PyArray_DESCR(o.first)
        and PyArray_NDIM(array) == dimensions
        and memcmp(PyArray_DIMS(array), PyArray_DIMS(o.first), dimensions * sizeof(cnp.npy_intp)) == 0
    )


cdef bint may_write(PyArrayObject *array) noexcept:
    """Whether NumPy writes here, and does so without a warning: the sign bit is that of its NPY_ARRAY_WARN_ON_WRITE."""
    return PyArray_FLAGS(array) > 0 and PyArray_FLAGS(array) & cnp.NPY_ARRAY_WRITEABLE


cdef bint are_apart(const Operands *o, size_t size) noexcept:
    """Whether no output lies on another operand, but for an input that is where the output is."""
    cdef uintptr_t a, b
    cdef int output, k
    for output in range(o.inputs, o.count):
        b = <uintptr_t>PyArray_BYTES(o.array[output])
        for k in range(output):
            a = <uintptr_t>PyArray_BYTES(o.array[k])
            if (b - a if a < b else a - b) < size and not (a == b and k < o.inputs):
                return False
    return True


cdef int give_errors(const char *name, unsigned raised) noexcept:
    """Warns or raises, which is -1, as ``np.errstate`` has it."""
    cdef int errors = 0
    if raised & FLAG_DIVIDE:
        errors |= NPY_FPE_DIVIDEBYZERO
    if raised & FLAG_OVERFLOW:
        errors |= NPY_FPE_OVERFLOW
    if raised & FLAG_UNDERFLOW:
        errors |= NPY_FPE_UNDERFLOW
    if raised & FLAG_INVALID:
        errors |= NPY_FPE_INVALID
    return PyUFunc_GiveFloatingpointErrors(name, errors)


cdef void run(const LoopData *loop, const Operands *o, const double *numbers, int parameters, size_t n, size_t item) noexcept:
    """The kernel, arrays first and outputs last, numbers in between."""
    cdef char *operands[FASTACT_MAX_OPERANDS]
    cdef cnp.npy_intp steps[FASTACT_MAX_OPERANDS]
    cdef float single[FASTACT_MAX_PARAMETERS]
    cdef PyThreadState *state = NULL
    cdef int k, at
    for k in range(o.count):
        at = k if k < o.inputs else k + parameters
        operands[at], steps[at] = PyArray_BYTES(o.array[k]), <cnp.npy_intp>item
    for k in range(parameters):
        single[k] = <float>numbers[k]
        operands[o.inputs + k] = <char *>&single[k] if item == sizeof(float) else <char *>&numbers[k]
        steps[o.inputs + k] = 0
    if fpflags_get():
        fpflags_set(0)
    if n > LOCKED:
        state = PyEval_SaveThread()
    call_kernel(loop, operands, <const Py_ssize_t *>steps, n)
    if n > LOCKED:
        PyEval_RestoreThread(state)


cdef PyObject *made_outputs(Operands *o, int outputs) except NULL:
    """New arrays, in the order of the inputs, and what the call returns: an array, or a tuple of two."""
    cdef PyArrayObject *like = o.first
    cdef bint fortran = not o.orders & cnp.NPY_ARRAY_C_CONTIGUOUS
    cdef PyObject *result = NULL if outputs == 1 else PyTuple_New(outputs)
    cdef PyObject *made
    cdef int k
    for k in range(outputs):
        made = PyArray_EMPTY(PyArray_NDIM(like), PyArray_DIMS(like), PyArray_TYPE(like), fortran)
        if made == NULL:
            Py_XDECREF(result)
            return NULL
        o.array[o.count] = <PyArrayObject *>made
        o.count += 1
        if outputs == 1:
            return made
        PyTuple_SET_ITEM(result, k, made)
    return result


cdef PyObject *given_outputs(Operands *o, PyObject *out, int outputs, size_t size) except? NULL:
    """The same for arrays given as ``out=``; NULL without an error where they are not for here."""
    cdef PyObject *each
    cdef bint packed = PyTuple_CheckExact(out)
    cdef int k
    if (PyTuple_GET_SIZE(out) if packed else 1) != outputs:
        return NULL
    for k in range(outputs):
        each = PyTuple_GET_ITEM(out, k) if packed else out
        if not add(o, each) or not may_write(o.array[o.inputs + k]):
            return NULL
    if not are_apart(o, size):
        return NULL
    if outputs == 2:
        return PyTuple_Pack(2, o.array[o.inputs], o.array[o.inputs + 1])
    each = <PyObject *>o.array[o.inputs]
    Py_INCREF(each)
    return each


cdef PyObject *call_directly(
    PyObject *ufunc, PyObject **inputs, PyObject *out, const double *numbers, int parameters
) except? NULL:
    """What a ufunc gives whose last inputs are numbers; NULL without an error where that is NumPy's to find out."""
    cdef PyUFuncObject *u = <PyUFuncObject *>ufunc
    cdef Operands o
    cdef PyArray_Descr *dtype
    cdef PyObject *result
    cdef size_t n, item
    cdef unsigned raised
    cdef int k
    o.first, o.inputs, o.count, o.orders = <PyArrayObject *>inputs[0], u.nin - parameters, 0, ORDERS
    for k in range(o.inputs):
        if not add(&o, inputs[k]):
            return NULL
    dtype, n = PyArray_DESCR(o.first), PyArray_SIZE(o.first)
    if (dtype != float32 and dtype != float64) or PyArray_NDIM(o.first) == 0 or n == 0:
        return NULL
    item = sizeof(float) if dtype == float32 else sizeof(double)
    if out == NULL or (out == Py_None and u.nout == 1):
        result = made_outputs(&o, u.nout)
    else:
        result = given_outputs(&o, out, u.nout, n * item)
    if result == NULL:
        return NULL
    run(<LoopData *>u.data[F32_LOOP if dtype == float32 else F64_LOOP], &o, numbers, parameters, n, item)
    raised = fpflags_get()
    if raised and give_errors(u.name, raised) < 0:
        Py_XDECREF(result)
        return NULL
    return result


cdef vectorcallfunc numpys = NULL  # what ufuncs are called by


cdef PyObject *call(PyObject *ufunc, PyObject **args, size_t nargsf, PyObject *kwnames) except NULL:
    """What Python runs for ``ufunc(*args, **kwargs)`` of a ufunc without parameters."""
    cdef PyUFuncObject *u = <PyUFuncObject *>ufunc
    cdef Py_ssize_t names = 0 if kwnames == NULL else PyTuple_GET_SIZE(kwnames)
    cdef PyObject *result = NULL
    if PyVectorcall_NARGS(nargsf) == u.nin:
        if names == 0:
            result = call_directly(ufunc, args, NULL, NULL, 0)
        elif names == 1 and PyTuple_GET_ITEM(kwnames, 0) == <PyObject *>OUT:
            result = call_directly(ufunc, args, args[u.nin], NULL, 0)
    return numpys(ufunc, args, nargsf, kwnames) if result == NULL else result


def call_past_numpy(ufunc):
    """Let a ufunc of this package take the short way by itself; it stays NumPy's in every other respect."""
    global numpys
    cdef PyUFuncObject *u = <PyUFuncObject *>ufunc
    numpys = u.vectorcall
    u.vectorcall = <vectorcallfunc>call
    return ufunc


def result(ufunc, inputs, numbers, **out):
    """What the short way gives for these inputs and Python floats; None where a call goes NumPy's way. For tests."""
    cdef PyObject *arrays[FASTACT_MAX_OPERANDS]
    cdef double values[FASTACT_MAX_PARAMETERS]
    cdef PyObject *found
    cdef PyObject *given = NULL
    for k, each in enumerate(inputs):
        arrays[k] = <PyObject *>each
    for k, number in enumerate(numbers):
        values[k] = number
    if out:
        given = <PyObject *>out[OUT]
    found = call_directly(<PyObject *>ufunc, arrays, given, values, len(numbers))
    if found == NULL:
        return None
    owned = <object>found
    Py_XDECREF(found)
    return owned
