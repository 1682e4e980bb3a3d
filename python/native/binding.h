// nanobind with the conversions that this folder uses. All of them stand here: a conversion that
// one file knows and another does not would be two meanings of one cast.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace tenon::python {

namespace nb = nanobind;

}  // namespace tenon::python
