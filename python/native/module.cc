// tenon._tenon: the engine in Python. The package's own files (python/tenon) make of it what users
// see.
#include "python/native/devices.h"
#include "python/native/dtypes.h"
#include "python/native/errors.h"
#include "python/native/files.h"
#include "python/native/models.h"
#include "python/native/pipeline.h"
#include "python/native/python_call.h"
#include "python/native/raw_ops.h"
#include "python/native/tape.h"
#include "python/native/tensor.h"
#include "python/native/trace.h"
#include "python/native/variable.h"
#include "tenon/base/thread_pool.h"
#include "tenon/ops/register_all.h"

NB_MODULE(_tenon, m) {
  tenon::python::check(tenon::register_all_ops(tenon::OpRegistry::global()));
  nanobind::set_leak_warnings(false);  // dtypes live as long as the process
  tenon::python::stay_on_the_processor();
  m.attr("version") = TENON_VERSION;
  tenon::python::register_errors(m);
  tenon::python::register_dtypes(m);
  tenon::python::register_tensor(m);
  tenon::python::register_python_call(m);  // whose op is one of the raw ops
  tenon::python::register_raw_ops(m);
  tenon::python::register_devices(m);
  tenon::python::register_variable(m);
  tenon::python::register_trace(m);
  tenon::python::register_tape(m);
  tenon::python::register_models(m);
  tenon::python::register_pipeline(m);
  tenon::python::register_files(m);
  m.def("configure_threads", [](int threads) { tenon::ThreadPool::configure(threads); });
}
