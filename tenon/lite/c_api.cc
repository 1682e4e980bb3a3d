#include "tenon/base/files.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread_pool.h"
#include "tenon/lite.h"
#include "tenon/lite/constants.h"
#include "tenon/lite/interpreter.h"
#include "tenon/ops/register_all.h"

struct TenonLiteModel {
  std::shared_ptr<const tenon::lite::ModelFile> file;
};

struct TenonLiteInterpreter {
  std::unique_ptr<tenon::lite::Interpreter> interpreter;
};

namespace tenon::lite {
namespace {

thread_local std::string last_error;

TenonLiteStatus report(const Status& status) {
  if (status.ok()) return TENON_LITE_OK;
  last_error = cat(code_name(status.code()), ": ", message_of(status));
  return static_cast<TenonLiteStatus>(status.code());
}

// What the functions of the interface do, as a Status.
template <class Body>
TenonLiteStatus reported(Body&& body) {
  return report(or_out_of_memory(body));
}

// The ops, once for the process, unless its program registered them.
Status register_ops() {
  static const Status registered = OpRegistry::global().all().empty()
                                       ? register_all_ops(OpRegistry::global())
                                       : absl::OkStatus();
  return registered;
}

TenonLiteModel* model_of(std::string bytes) {
  TenonLiteModel* made = nullptr;
  reported([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(auto file, ModelFile::parse(std::move(bytes)));
    made = new TenonLiteModel{std::move(file)};
    return absl::OkStatus();
  });
  return made;
}

Status check_index(const char* kind, int index, const std::vector<NamedTensor>& tensors) {
  if (index >= 0 && static_cast<size_t>(index) < tensors.size()) return absl::OkStatus();
  return out_of_range("there is no ", kind, " ", index, ", the signature has ", tensors.size());
}

Status check_input(const TenonLiteInterpreter* i, int index) {
  return check_index("input", index, i->interpreter->signature().inputs);
}

int find(const std::vector<NamedTensor>& tensors, const char* name) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

Status describe(const TensorView& view, TenonLiteTensor& tensor) {
  const ValueInfo& value = view.named->value;
  tensor = {};
  tensor.name = view.named->name.c_str();
  tensor.type = static_cast<TenonLiteType>(tensor_type_of(value.dtype));
  tensor.scale = view.scale;
  tensor.zero_point = static_cast<int32_t>(view.zero_point);
  std::span<const int64_t> dims;
  if (view.tensor) {
    dims = view.tensor->shape().dims();
  } else if (value.shape.has_rank()) {
    dims = value.shape.dims();
  }
  if (dims.size() > TENON_LITE_MAX_RANK) {
    return unimplemented("'", view.named->name, "' has ", dims.size(),
                         " dimensions, tenon/lite.h describes tensors of at most ",
                         TENON_LITE_MAX_RANK);
  }
  tensor.rank = view.tensor || value.shape.has_rank() ? static_cast<int>(dims.size()) : -1;
  std::copy(dims.begin(), dims.end(), tensor.dims);
  if (view.tensor && !is_object(value.dtype)) {
    tensor.bytes = view.tensor->num_bytes();
    tensor.data = tensor.bytes > 0 ? view.data : nullptr;
  }
  return absl::OkStatus();
}

StatusOr<TensorView> computed_output(TenonLiteInterpreter* i, int index) {
  TENON_RETURN_IF_ERROR(check_index("output", index, i->interpreter->signature().outputs));
  TENON_ASSIGN_OR_RETURN(TensorView view, i->interpreter->output(static_cast<size_t>(index)));
  if (view.tensor) return view;
  return failed_precondition("output '", view.named->name,
                             "' has no value: no run came after the last change of an input's "
                             "shape");
}

Status check_copied(const char* kind, const TensorView& view, size_t bytes) {
  if (is_object(view.tensor->dtype())) {
    return invalid_argument(kind, " '", view.named->name, "' holds elements of ",
                            view.tensor->dtype(), ", which are not copied as bytes");
  }
  if (view.tensor->num_bytes() == bytes) return absl::OkStatus();
  return invalid_argument(kind, " '", view.named->name, "' of shape ", view.tensor->shape(),
                          " takes ", view.tensor->num_bytes(), " bytes, ", bytes, " were given");
}

}  // namespace

// In this namespace they do not have the visibility of their declarations.
extern "C" {

TENON_LITE_API const char* tenon_lite_version(void) { return TENON_LITE_VERSION; }

TENON_LITE_API const char* tenon_lite_error(void) { return last_error.c_str(); }

TENON_LITE_API void tenon_lite_set_threads(int threads) {
  ThreadPool::configure(std::max(threads, 0));
}

TENON_LITE_API TenonLiteModel* tenon_lite_model_from_file(const char* path) {
  StatusOr<std::string> bytes = std::string();
  if (reported([&] { return (bytes = read_file(path)).status(); }) != TENON_LITE_OK) return nullptr;
  return model_of(*std::move(bytes));
}

TENON_LITE_API TenonLiteModel* tenon_lite_model_from_memory(const void* bytes, size_t size) {
  std::string copy;
  const auto status = reported([&] {
    if (size > 0) copy.assign(static_cast<const char*>(bytes), size);
    return absl::OkStatus();
  });
  return status == TENON_LITE_OK ? model_of(std::move(copy)) : nullptr;
}

TENON_LITE_API void tenon_lite_model_free(TenonLiteModel* model) { delete model; }

TENON_LITE_API TenonLiteInterpreter* tenon_lite_interpreter_new(const TenonLiteModel* model) {
  TenonLiteInterpreter* made = nullptr;
  reported([&]() -> Status {
    TENON_RETURN_IF_ERROR(register_ops());
    TENON_ASSIGN_OR_RETURN(auto interpreter, Interpreter::create(model->file));
    made = new TenonLiteInterpreter{std::move(interpreter)};
    return absl::OkStatus();
  });
  return made;
}

TENON_LITE_API void tenon_lite_interpreter_free(TenonLiteInterpreter* interpreter) {
  delete interpreter;
}

TENON_LITE_API int tenon_lite_signature_count(const TenonLiteInterpreter* interpreter) {
  return static_cast<int>(interpreter->interpreter->signatures().size());
}

TENON_LITE_API const char* tenon_lite_signature_name(const TenonLiteInterpreter* interpreter,
                                                     int index) {
  if (index >= 0 && index < tenon_lite_signature_count(interpreter)) {
    return interpreter->interpreter->signatures()[static_cast<size_t>(index)].name.c_str();
  }
  report(out_of_range("there is no signature ", index, ", the model has ",
                      tenon_lite_signature_count(interpreter)));
  return nullptr;
}

TENON_LITE_API TenonLiteStatus tenon_lite_select_signature(TenonLiteInterpreter* interpreter,
                                                           const char* name) {
  return reported([&] { return interpreter->interpreter->select(name); });
}

TENON_LITE_API int tenon_lite_input_count(const TenonLiteInterpreter* interpreter) {
  return static_cast<int>(interpreter->interpreter->signature().inputs.size());
}

TENON_LITE_API int tenon_lite_output_count(const TenonLiteInterpreter* interpreter) {
  return static_cast<int>(interpreter->interpreter->signature().outputs.size());
}

TENON_LITE_API int tenon_lite_find_input(const TenonLiteInterpreter* interpreter,
                                         const char* name) {
  return find(interpreter->interpreter->signature().inputs, name);
}

TENON_LITE_API int tenon_lite_find_output(const TenonLiteInterpreter* interpreter,
                                          const char* name) {
  return find(interpreter->interpreter->signature().outputs, name);
}

TENON_LITE_API TenonLiteStatus tenon_lite_input(TenonLiteInterpreter* interpreter, int index,
                                                TenonLiteTensor* tensor) {
  return reported([&]() -> Status {
    TENON_RETURN_IF_ERROR(check_input(interpreter, index));
    TENON_ASSIGN_OR_RETURN(const TensorView view,
                           interpreter->interpreter->input(static_cast<size_t>(index)));
    return describe(view, *tensor);
  });
}

TENON_LITE_API TenonLiteStatus tenon_lite_output(TenonLiteInterpreter* interpreter, int index,
                                                 TenonLiteTensor* tensor) {
  return reported([&]() -> Status {
    TENON_RETURN_IF_ERROR(
        check_index("output", index, interpreter->interpreter->signature().outputs));
    TENON_ASSIGN_OR_RETURN(const TensorView view,
                           interpreter->interpreter->output(static_cast<size_t>(index)));
    return describe(view, *tensor);
  });
}

TENON_LITE_API TenonLiteStatus tenon_lite_resize_input(TenonLiteInterpreter* interpreter, int index,
                                                       int rank, const int64_t* dims) {
  return reported([&]() -> Status {
    TENON_RETURN_IF_ERROR(check_input(interpreter, index));
    const auto size = static_cast<size_t>(std::max(rank, 0));
    return interpreter->interpreter->resize(static_cast<size_t>(index), {dims, size});
  });
}

TENON_LITE_API TenonLiteStatus tenon_lite_set_input(TenonLiteInterpreter* interpreter, int index,
                                                    const void* data, size_t bytes) {
  return reported([&]() -> Status {
    TENON_RETURN_IF_ERROR(check_input(interpreter, index));
    TENON_ASSIGN_OR_RETURN(const TensorView view,
                           interpreter->interpreter->input(static_cast<size_t>(index)));
    TENON_RETURN_IF_ERROR(check_copied("input", view, bytes));
    if (bytes > 0) std::memcpy(view.data, data, bytes);
    return absl::OkStatus();
  });
}

TENON_LITE_API TenonLiteStatus tenon_lite_get_output(TenonLiteInterpreter* interpreter, int index,
                                                     void* data, size_t bytes) {
  return reported([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorView view, computed_output(interpreter, index));
    TENON_RETURN_IF_ERROR(check_copied("output", view, bytes));
    if (bytes > 0) std::memcpy(data, view.data, bytes);
    return absl::OkStatus();
  });
}

TENON_LITE_API TenonLiteStatus tenon_lite_set_strings(TenonLiteInterpreter* interpreter, int index,
                                                      const char* const* texts,
                                                      const size_t* lengths, size_t count) {
  return reported([&]() -> Status {
    TENON_RETURN_IF_ERROR(check_input(interpreter, index));
    TENON_ASSIGN_OR_RETURN(const TensorView view,
                           interpreter->interpreter->input(static_cast<size_t>(index)));
    const auto expected = static_cast<size_t>(view.tensor->num_elements());
    if (view.tensor->dtype() != DType::kString || count != expected) {
      return invalid_argument("input '", view.named->name, "' is ", view.tensor->dtype(),
                              " of shape ", view.tensor->shape(), ", ", count,
                              " strings were given");
    }
    std::vector<std::string_view> views;
    for (size_t i = 0; i < count; ++i) views.emplace_back(texts[i], lengths[i]);
    return interpreter->interpreter->set_strings(static_cast<size_t>(index), views);
  });
}

TENON_LITE_API TenonLiteStatus tenon_lite_get_string(TenonLiteInterpreter* interpreter, int index,
                                                     size_t element, const char** text,
                                                     size_t* length) {
  return reported([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorView view, computed_output(interpreter, index));
    const auto count = static_cast<size_t>(view.tensor->num_elements());
    if (view.tensor->dtype() != DType::kString || element >= count) {
      return out_of_range("output '", view.named->name, "' is ", view.tensor->dtype(), " of shape ",
                          view.tensor->shape(), ", string ", element, " was asked for");
    }
    const std::string_view found = view.tensor->data<std::string_view>()[element];
    *text = found.data();
    *length = found.size();
    return absl::OkStatus();
  });
}

TENON_LITE_API TenonLiteStatus tenon_lite_invoke(TenonLiteInterpreter* interpreter) {
  return reported([&] { return interpreter->interpreter->invoke(); });
}

TENON_LITE_API TenonLiteStatus tenon_lite_reset(TenonLiteInterpreter* interpreter) {
  return reported([&] { return interpreter->interpreter->reset(); });
}

}  // extern "C"

}  // namespace tenon::lite
