// Python's compiled files, __pycache__/NAME.cpython-311.pyc, which a package's maintainer script
// and pip would make.
#pragma once

#include "tenon/image/build/layers.h"

namespace tenon::image {

// Adds to each layer the compiled files of its Python modules (those of usr/lib/python3*), made on
// this machine by the image's own /usr/bin/python3 with the image's own libraries, so that the
// bytes follow from the image alone. They are unchecked: Python takes them without a look at the
// source, whatever its time. The modules are compiled, never run; what is no Python of this version
// is left as it is. FAILED_PRECONDITION without an interpreter, or where this machine cannot run
// it.
Status byte_compile(int threads, std::vector<LayerTree>& layers);

}  // namespace tenon::image
