from cpython.ref cimport PyObject


cdef PyObject *call_directly(
    PyObject *ufunc, PyObject **inputs, PyObject *out, const double *numbers, int parameters
) except? NULL
