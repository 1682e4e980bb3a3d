// Reading pipelines from Python, and Python's generators inside of them.
#include <deque>
#include <set>

#include "python/native/convert.h"
#include "python/native/pipeline.h"
#include "python/native/python_call.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/data/sources.h"

namespace tenon::python {
namespace {

// What Python raised within a pipeline waits here for the iterator's caller, by the number that the
// status carries. One that nobody comes for is dropped when others have come after it.
constexpr char kExceptionUrl[] = "tenon.python/exception";
constexpr size_t kMostExceptions = 64;

std::deque<std::pair<std::string, nb::object>>& raised_exceptions() {
  static auto* raised = new std::deque<std::pair<std::string, nb::object>>;
  return *raised;
}

Status status_of(nb::python_error& error) {
  static int64_t count = 0;
  std::string number = cat(++count);
  Status status = unknown_error(error.what());
  status.SetPayload(kExceptionUrl, absl::Cord(number));
  nb::object value = nb::borrow(error.value());
  if (error.traceback().is_valid()) {
    PyException_SetTraceback(value.ptr(), error.traceback().ptr());
  }
  raised_exceptions().emplace_back(std::move(number), std::move(value));
  if (raised_exceptions().size() > kMostExceptions) raised_exceptions().pop_front();
  return status;
}

// Raises `status` as what it was in Python.
[[noreturn]] void raise_status(const Status& status) {
  const auto payload = status.GetPayload(kExceptionUrl);
  auto& raised = raised_exceptions();
  const auto found = std::find_if(raised.begin(), raised.end(), [&](const auto& each) {
    return payload.has_value() && *payload == each.first;
  });
  if (found == raised.end()) throw StatusError(status);
  const nb::object value = std::move(found->second);
  raised.erase(found);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(value.ptr())), value.ptr());
  throw nb::python_error();
}

StatusOr<bool> next_of(PyObject* iterator, data::Element& element) {
  const PythonCall call;
  try {
    const nb::object yielded = nb::steal(PyIter_Next(iterator));
    if (!yielded.is_valid()) {
      if (PyErr_Occurred()) throw nb::python_error();
      return false;
    }
    element.clear();
    for (nb::handle part : yielded) {
      const Value value = to_value(part);
      element.push_back(eager(value, "an element of a generator"));
    }
    return true;
  } catch (nb::python_error& error) {
    return status_of(error);
  } catch (const StatusError& error) {
    return error.status();
  }
}

StatusOr<data::Generator> start_generator(PyObject* reference, const std::vector<Tensor>& args) {
  const PythonCall call;
  try {
    const nb::object start = nb::borrow(PyWeakref_GetObject(reference));
    if (start.is_none()) {
      return failed_precondition("the dataset of a generator is gone that is to be read");
    }
    nb::list values;
    for (const Tensor& arg : args) values.append(wrap(Value(arg)));
    nb::object iterator = start(*nb::tuple(values));
    return [iterator = shared(std::move(iterator))](data::Element& element) {
      return next_of(iterator.get(), element);
    };
  } catch (nb::python_error& error) {
    return status_of(error);
  } catch (const StatusError& error) {
    return error.status();
  }
}

// One pass over a pipeline. Its threads are joined without the interpreter's lock, since they may
// want it, and never by one of them.
class PipelineIterator {
 public:
  PipelineIterator(data::DatasetPtr dataset, uint64_t epoch) : reads_(std::make_shared<Reads>()) {
    close_abandoned();
    StatusOr<std::unique_ptr<data::Iterator>> made = [&] {
      const nb::gil_scoped_release released;
      return or_out_of_memory([&] { return dataset->iterate(epoch); });
    }();
    if (!made.ok()) raise_status(made.status());
    reads_->iterator = *std::move(made);
    open().insert(this);
  }
  ~PipelineIterator() {
    open().erase(this);
    if (PythonCall::is_within()) {
      abandoned().push_back(std::move(reads_));
    } else {
      const nb::gil_scoped_release released;
      reads_ = nullptr;
    }
  }
  PipelineIterator(const PipelineIterator&) = delete;
  PipelineIterator& operator=(const PipelineIterator&) = delete;

  // The next element's tensors, or None at the end, which OUT_OF_RANGE from within is too. Nothing
  // comes after an error.
  nb::object next() {
    data::Element element;
    const std::shared_ptr<Reads> reads = reads_;
    StatusOr<bool> more = [&]() -> StatusOr<bool> {
      const nb::gil_scoped_release released;
      const std::lock_guard<std::mutex> lock(reads->mutex);
      if (!reads->iterator) return false;
      StatusOr<bool> result = or_out_of_memory([&] { return reads->iterator->next(element); });
      if (!result.ok() || !*result) reads->iterator = nullptr;
      return result;
    }();
    close_abandoned();
    if (!more.ok() && more.status().code() != absl::StatusCode::kOutOfRange) {
      raise_status(more.status());
    }
    if (!more.ok() || !*more) return nb::none();
    nb::list tensors;
    for (Tensor& tensor : element) tensors.append(wrap(Value(tensor.keep())));
    return tensors;
  }

  // Passes over `count` elements and returns over how many: fewer only at the end.
  int64_t skip(int64_t count) {
    const std::shared_ptr<Reads> reads = reads_;
    const StatusOr<int64_t> passed = [&]() -> StatusOr<int64_t> {
      const nb::gil_scoped_release released;
      const std::lock_guard<std::mutex> lock(reads->mutex);
      if (!reads->iterator) return 0;
      return or_out_of_memory([&] { return reads->iterator->skip(count); });
    }();
    if (!passed.ok()) raise_status(passed.status());
    return *passed;
  }

  // Ends the pass, and its threads. Not for one of them.
  void close() {
    const std::shared_ptr<Reads> reads = reads_;
    const nb::gil_scoped_release released;
    const std::lock_guard<std::mutex> lock(reads->mutex);
    reads->iterator = nullptr;
  }

  // Those that were let go of where they could not be closed.
  static void close_abandoned() {
    if (abandoned().empty() || PythonCall::is_within()) return;
    const auto closing = std::exchange(abandoned(), {});
    const nb::gil_scoped_release released;
    for (const auto& each : closing) each->iterator = nullptr;
  }

  // Before the interpreter ends: threads of pipelines would wait for its lock for ever.
  static void close_all() {
    for (PipelineIterator* iterator : open()) {
      const std::shared_ptr<Reads> reads = iterator->reads_;
      const nb::gil_scoped_release released;
      const std::lock_guard<std::mutex> lock(reads->mutex);
      reads->iterator = nullptr;
    }
    close_abandoned();
  }

 private:
  struct Reads {
    std::mutex mutex;
    std::unique_ptr<data::Iterator> iterator;  // null at the end; guarded by mutex
  };
  // Both under the interpreter's lock.
  static std::set<PipelineIterator*>& open() {
    static auto* iterators = new std::set<PipelineIterator*>;
    return *iterators;
  }
  static std::vector<std::shared_ptr<Reads>>& abandoned() {
    static auto* iterators = new std::vector<std::shared_ptr<Reads>>;
    return *iterators;
  }

  std::shared_ptr<Reads> reads_;
};

}  // namespace

PipelinePtr generator_pipeline(nb::handle start, std::vector<Given> args) {
  nb::object reference = nb::steal(PyWeakref_NewRef(start.ptr(), nullptr));
  if (!reference.is_valid()) throw nb::python_error();
  return std::make_shared<Pipeline>([start = shared(std::move(reference)), args = std::move(args)](
                                        const KnownValues& known) -> StatusOr<data::DatasetPtr> {
    TENON_ASSIGN_OR_RETURN(std::vector<Tensor> values, values_of(args, known));
    return data::from_generator(
        [start, values = std::move(values)](uint64_t) -> StatusOr<data::Generator> {
          return start_generator(start.get(), values);
        });
  });
}

void register_pipeline_iterator(nb::module_& m) {
  nb::class_<PipelineIterator>(m, "PipelineIterator")
      .def("__init__",
           [](PipelineIterator* self, const Pipeline& of, uint64_t epoch,
              const std::vector<int64_t>& ids, nb::sequence tensors) {
             KnownValues known;
             size_t at = 0;
             for (nb::handle tensor : tensors) {
               const Value value = to_value(tensor);
               known[ids.at(at++)] = eager(value, "what a dataset depends on");
             }
             new (self) PipelineIterator(value_of(of.make(known)), epoch);
           })
      .def("next", &PipelineIterator::next)
      .def("skip", &PipelineIterator::skip)
      .def("close", &PipelineIterator::close);
  m.def("close_abandoned_pipelines", &PipelineIterator::close_abandoned);
  m.def("close_pipelines", &PipelineIterator::close_all);
}

}  // namespace tenon::python
