from setuptools import Extension, setup

setup(name="app", version="1.0", py_modules=[], ext_modules=[Extension("horner", ["horner.c"])])
