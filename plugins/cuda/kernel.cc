#include "plugins/cuda/kernel.h"

#include <deque>

namespace plugin::cuda {
namespace {

TenonStatus* run_function(void* state, TenonRun* run) {
  return (*static_cast<RunFunction*>(state))(run);
}

TenonStatus* prepare_row(void* data, TenonPrepare* prepare, TenonKernel* kernel) {
  if (!all_known(prepare)) return unimplemented("the GPU has kernels for known shapes only");
  RunFunction run;
  const auto function = reinterpret_cast<PrepareFunction>(data);
  if (TenonStatus* status = function(prepare, run)) return status;
  *kernel = {new RunFunction(std::move(run)), run_function,
             [](void* state) { delete static_cast<RunFunction*>(state); }};
  return nullptr;
}

}  // namespace

const std::vector<const TenonKernelFactory*>& kernel_rows() {
  static std::deque<TenonKernelFactory> rows;
  static std::vector<const TenonKernelFactory*> pointers;
  if (!pointers.empty()) return pointers;
  const AddRow add = [](const char* op, PrepareFunction prepare) {
    rows.push_back({sizeof(TenonKernelFactory), op, "GPU", nullptr, nullptr, 0,
                    reinterpret_cast<void*>(prepare), prepare_row});
    pointers.push_back(&rows.back());
  };
  add_elementwise_rows(add);
  add_matmul_rows(add);
  add_einsum_rows(add);
  add_reduce_rows(add);
  add_nn_rows(add);
  add_norm_rows(add);
  add_pool_rows(add);
  add_pixel_rows(add);
  add_filter_gradient_rows(add);
  add_conv_rows(add);
  add_depthwise_rows(add);
  add_move_rows(add);
  add_scatter_rows(add);
  add_state_rows(add);
  add_random_rows(add);
  return pointers;
}

bool all_known(const TenonPrepare* prepare) {
  for (int32_t i = 0; i < host->prepare_num_inputs(prepare); ++i) {
    if (!is_known(host->prepare_input(prepare, i))) return false;
  }
  for (int32_t i = 0; i < host->prepare_num_outputs(prepare); ++i) {
    if (!is_known(host->prepare_output(prepare, i))) return false;
  }
  return true;
}

Device* device_of(const TenonPrepare* prepare) {
  void* device = nullptr;
  host->prepare_device(prepare, &device);
  return static_cast<Device*>(device);
}

cudaStream_t enqueue(TenonRun* run) {
  Stream* stream = stream_of(run);
  stream->device()->use();
  return stream->enqueue();
}

size_t size_of(int32_t dtype) {
  switch (dtype) {
    case kUint8:
    case kInt8:
    case kBool:
      return 1;
    case kInt16:
    case kUint16:
    case kHalf:
    case kBfloat16:
      return 2;
    case kFloat:
    case kInt32:
    case kUint32:
      return 4;
    case kDouble:
    case kInt64:
    case kUint64:
      return 8;
    default:
      return 0;
  }
}

bool constant_integers(const TenonPrepare* prepare, int32_t index, std::vector<int64_t>& values) {
  TenonTensor tensor{};
  if (!host->prepare_constant(prepare, index, &tensor)) return false;
  const int64_t count = element_count(tensor.type);
  values.clear();
  for (int64_t i = 0; i < count; ++i) {
    if (tensor.type.dtype == kInt32) {
      values.push_back(static_cast<const int32_t*>(tensor.data)[i]);
    } else if (tensor.type.dtype == kInt64) {
      values.push_back(static_cast<const int64_t*>(tensor.data)[i]);
    } else {
      return false;
    }
  }
  return true;
}

std::vector<int64_t> dims_of(const TenonType& type) { return {type.dims, type.dims + type.rank}; }

bool bool_attr(const TenonPrepare* prepare, const char* name, bool otherwise) {
  int value = otherwise;
  host->attr_bool(host->prepare_attrs(prepare), name, &value);
  return value != 0;
}
int64_t int_attr(const TenonPrepare* prepare, const char* name, int64_t otherwise) {
  host->attr_int(host->prepare_attrs(prepare), name, &otherwise);
  return otherwise;
}
double float_attr(const TenonPrepare* prepare, const char* name, double otherwise) {
  host->attr_float(host->prepare_attrs(prepare), name, &otherwise);
  return otherwise;
}
std::string string_attr(const TenonPrepare* prepare, const char* name) {
  TenonText text{};
  if (!host->attr_string(host->prepare_attrs(prepare), name, &text)) return {};
  return {text.data, text.size};
}
std::vector<int64_t> ints_attr(const TenonPrepare* prepare, const char* name) {
  const int64_t* values = nullptr;
  size_t count = 0;
  if (!host->attr_ints(host->prepare_attrs(prepare), name, &values, &count)) return {};
  return {values, values + count};
}

}  // namespace plugin::cuda
