"""Functions with parameters: callables over a real ufunc that has them as broadcast inputs."""

from cpython.ref cimport Py_INCREF, PyObject
from fastact._direct cimport call_directly
from fastact._kernels cimport FASTACT_MAX_PARAMETERS
from fastact._ufuncs cimport parameters_of_thread
from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport fabs, isfinite
cimport numpy as cnp

from inspect import Parameter as Argument
from inspect import Signature
from sys import intern

# Borrowed references throughout: counting them takes as long as looking at them.
cdef extern from "Python.h":
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject **, size_t, PyObject *)
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
    const unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    PyObject *Py_None
    bint PyFloat_CheckExact(PyObject *)
    bint PyLong_CheckExact(PyObject *)
    bint PyTuple_CheckExact(PyObject *)
    double PyFloat_AS_DOUBLE(PyObject *)
    long long PyLong_AsLongLongAndOverflow(PyObject *, int *overflow)
    Py_ssize_t PyTuple_GET_SIZE(PyObject *)
    PyObject *PyTuple_GET_ITEM(PyObject *, Py_ssize_t)
    Py_ssize_t PyVectorcall_NARGS(size_t nargsf)
    PyObject *PyObject_Vectorcall(PyObject *callable, PyObject **args, size_t nargsf, PyObject *kwnames)

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArrayObject
    bint PyArray_CheckExact(PyObject *)
    int PyArray_TYPE(PyArrayObject *)

cnp.import_array()

cdef str OUT = "out"
cdef tuple ONLY_OUT = (OUT,)
cdef enum:
    MAX_ARRAYS = 2  # grad and x
cdef double EXACT_INTEGERS = 2.0**53  # below which each is a float64


cdef class ParametricUfunc:
    """A ufunc whose last inputs are optional parameters.

    Calling it fills the parameters in and calls `ufunc`, so that ``out=``, ``where=``,
    ``casting=``, ``order=``, ``dtype=``, ``subok=``, broadcasting and ``__array_ufunc__`` are
    NumPy's own.

    Attributes
    ----------
    ufunc : numpy.ufunc
        The ufunc that runs; takes every parameter as an input.
    parameters : tuple of Parameter
        Names and defaults, in the order of the inputs.
    nin, nout : int
        Of `ufunc`.
    """

    # The common call, arrays of float32 or float64 with numbers for parameters, goes past NumPy if it can
    # (`fastact._direct`), else to `bound`, which has only the arrays as inputs; both give the same: see
    # `is_plain` for when.
    cdef vectorcallfunc vectorcall
    cdef readonly object ufunc
    cdef readonly tuple parameters
    cdef readonly int nin, nout
    cdef object bound
    cdef int arrays
    cdef tuple names, defaults
    cdef double[FASTACT_MAX_PARAMETERS] default_numbers
    cdef dict __dict__
    cdef object __weakref__

    def __init__(self, ufunc, bound, arguments, parameters, doc):
        self.vectorcall = <vectorcallfunc>call
        self.ufunc, self.bound = ufunc, bound
        self.parameters = parameters
        self.nin, self.nout = ufunc.nin, ufunc.nout
        self.arrays = self.nin - len(parameters)
        self.names = tuple(intern(p.name) for p in parameters)  # as those in calls are
        self.defaults = tuple(p.default for p in parameters)
        for k, default in enumerate(self.defaults):
            self.default_numbers[k] = default
        self.__name__ = self.__qualname__ = ufunc.__name__
        self.__doc__ = doc
        self.__module__ = "fastact"  # where pickle finds it
        self.__signature__ = Signature([
            *(Argument(name, Argument.POSITIONAL_ONLY) for name in arguments),
            *(
                Argument(p.name, Argument.POSITIONAL_OR_KEYWORD, default=p.default)
                for p in parameters
            ),
            Argument(OUT, Argument.POSITIONAL_OR_KEYWORD, default=None),
            Argument("kwargs", Argument.VAR_KEYWORD),
        ])

    def __call__(self, *args, **kwargs):
        missing = self.nin - len(args)
        if missing > 0:
            if missing > len(self.parameters):
                raise TypeError(
                    f"{self.__name__}() takes at least {self.arrays} arrays, "
                    f"got {len(args)}: {self.__name__}{self.__signature__}"
                )
            left_out = self.parameters[-missing:]
            args += tuple([kwargs.pop(p.name, p.default) for p in left_out])
        return self.ufunc(*args, **kwargs)

    def __repr__(self):
        return f"<activation '{self.__name__}'>"

    def __reduce__(self):
        return self.__name__


cdef bint is_plain_array(PyObject *value) noexcept:
    cdef int type_number
    if not PyArray_CheckExact(value):
        return False
    type_number = PyArray_TYPE(<PyArrayObject *>value)
    return type_number == cnp.NPY_FLOAT32 or type_number == cnp.NPY_FLOAT64


cdef bint is_plain_output(PyObject *value) noexcept:
    if PyArray_CheckExact(value) or value == Py_None:
        return True
    if not PyTuple_CheckExact(value):
        return False
    for k in range(PyTuple_GET_SIZE(value)):
        each = PyTuple_GET_ITEM(value, k)
        if not PyArray_CheckExact(each) and each != Py_None:
            return False
    return True


cdef bint as_number(PyObject *value, double *number) noexcept:
    """Whether value is a Python number that becomes float32 and float64 with no flag but inexact."""
    cdef int overflow = 0
    cdef long long integer
    if PyFloat_CheckExact(value):
        number[0] = PyFloat_AS_DOUBLE(value)
    elif PyLong_CheckExact(value):
        integer = PyLong_AsLongLongAndOverflow(value, &overflow)
        number[0] = <double>integer
        if overflow or fabs(number[0]) >= EXACT_INTEGERS:
            return False
    else:
        return False
    return number[0] == 0 or FLT_MIN <= fabs(number[0]) <= FLT_MAX or not isfinite(number[0])


cdef bint is_plain(
    ParametricUfunc self, PyObject **args, Py_ssize_t given, PyObject *kwnames, double *numbers, PyObject **out
) noexcept:
    """Whether `bound` does the same as `ufunc`: its numbers and `out` are then filled in.

    That is where nothing overrides, no dtype depends on a parameter, and NumPy would turn the
    parameters into the dtype without a warning.
    """
    cdef Py_ssize_t k, position, parameters = self.nin - self.arrays
    cdef PyObject *name
    if given < self.arrays or given > self.nin:
        return False
    for k in range(self.arrays):
        if not is_plain_array(args[k]):
            return False
    for k in range(parameters):
        numbers[k] = self.default_numbers[k]
    for k in range(self.arrays, given):
        if not as_number(args[k], &numbers[k - self.arrays]):
            return False
    if kwnames == NULL:
        return True
    for k in range(PyTuple_GET_SIZE(kwnames)):
        name = PyTuple_GET_ITEM(kwnames, k)
        if name == <PyObject *>OUT:
            out[0] = args[given + k]
            if not is_plain_output(out[0]):
                return False
            continue
        position = given - self.arrays
        while position < parameters and name != PyTuple_GET_ITEM(<PyObject *>self.names, position):
            position += 1
        if position == parameters or not as_number(args[given + k], &numbers[position]):
            return False
    return True


cdef object call_ufunc(ParametricUfunc self, PyObject **args, Py_ssize_t given, PyObject *kwnames):
    names = () if kwnames == NULL else <tuple>kwnames
    positional = [<object>args[k] for k in range(given)]
    keywords = {name: <object>args[given + k] for k, name in enumerate(names)}
    return ParametricUfunc.__call__(self, *positional, **keywords)


cdef PyObject *call(PyObject *function, PyObject **args, size_t nargsf, PyObject *kwnames) except NULL:
    """What Python runs for ``function(*args, **kwargs)``, with no tuple and no dictionary made."""
    cdef ParametricUfunc self = <ParametricUfunc>function
    cdef Py_ssize_t given = PyVectorcall_NARGS(nargsf), k
    cdef double[FASTACT_MAX_PARAMETERS] numbers
    cdef PyObject *inputs[MAX_ARRAYS + 1]
    cdef PyObject *out = NULL
    cdef PyObject *result
    cdef const double **parameters
    cdef const double *before
    if not is_plain(self, args, given, kwnames, numbers, &out):
        general = call_ufunc(self, args, given, kwnames)
        Py_INCREF(general)
        return <PyObject *>general
    result = call_directly(<PyObject *>self.ufunc, args, out, numbers, self.nin - self.arrays)
    if result != NULL:
        return result
    for k in range(self.arrays):
        inputs[k] = args[k]
    inputs[self.arrays] = out
    # What was there is put back, as an allocation in here may run a finaliser that calls a function.
    parameters = parameters_of_thread()
    before = parameters[0]
    parameters[0] = numbers
    result = PyObject_Vectorcall(
        <PyObject *>self.bound, inputs, self.arrays, NULL if out == NULL else <PyObject *>ONLY_OUT
    )
    parameters[0] = before
    return result


# Cython has no words for this: instances are called through their field `vectorcall`.
(<PyTypeObject *>ParametricUfunc).tp_vectorcall_offset = <Py_ssize_t>&(<ParametricUfunc>NULL).vectorcall
(<PyTypeObject *>ParametricUfunc).tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL
