/* horner.value(coefficients, x): the polynomial's value, highest power first. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject* value(PyObject* self, PyObject* args) {
  PyObject* coefficients;
  double x, sum = 0;
  (void)self;
  if (!PyArg_ParseTuple(args, "O!d", &PyList_Type, &coefficients, &x)) return NULL;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(coefficients); ++i) {
    const double coefficient = PyFloat_AsDouble(PyList_GET_ITEM(coefficients, i));
    if (coefficient == -1 && PyErr_Occurred()) return NULL;
    sum = sum * x + coefficient;
  }
  return PyFloat_FromDouble(sum);
}

static PyMethodDef methods[] = {{"value", value, METH_VARARGS, "The polynomial's value at x."},
                                {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {.m_base = PyModuleDef_HEAD_INIT, .m_name = "horner", .m_size = -1,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit_horner(void) { return PyModule_Create(&module); }
