// The functions of TenonHost.
#include "tenon/base/parallel.h"
#include "tenon/core/device.h"
#include "tenon/core/variable.h"
#include "tenon/runtime/plugin/attribute_functions.h"

namespace tenon {
namespace {

// A Tensor that owns nothing, over memory of a plug-in.
Tensor borrowed(const TenonTensor& tensor) {
  const auto rank = static_cast<size_t>(std::max(tensor.type.rank, 0));
  return Tensor(static_cast<DType>(tensor.type.dtype),
                Shape(std::span<const int64_t>(tensor.type.dims, rank)), Ref<Buffer>(),
                tensor.data);
}

StatusOr<Shape> shape_of(int32_t rank, const int64_t* dims) {
  if (rank < 0 || rank > kMaxRank) return invalid_argument("a plug-in gave rank ", rank);
  return Shape::make({dims, static_cast<size_t>(rank)});
}

Status index_error(std::string_view what, int32_t index, int32_t count) {
  return invalid_argument("a plug-in asks for ", what, " ", index, " of ", count);
}

// --- the functions, in the order of TenonHost ---

TenonStatus* make_status(int32_t code, TenonText message) {
  return new TenonStatus{code, std::string(view_of(message))};
}
int32_t status_code(const TenonStatus* status) { return status ? status->code : 0; }
TenonText status_message(const TenonStatus* status) {
  return status ? text_of(status->message) : TenonText{"", 0};
}
void free_status(TenonStatus* status) { delete status; }

void run_parallel(int64_t count, int64_t grain, void (*body)(void*, int64_t, int64_t), void* data) {
  parallel_for(count, grain, [&](int64_t begin, int64_t end) { body(data, begin, end); });
}

TenonText prepare_op(const TenonPrepare* p) { return text_of(p->prepare.op().name()); }
TenonText prepare_node(const TenonPrepare* p) { return text_of(p->prepare.node_name()); }
const TenonAttrs* prepare_attrs(const TenonPrepare* p) { return &p->attrs; }
int32_t prepare_num_inputs(const TenonPrepare* p) { return p->prepare.num_inputs(); }
int32_t prepare_num_outputs(const TenonPrepare* p) { return p->prepare.num_outputs(); }
TenonType prepare_input(const TenonPrepare* p, int32_t i) {
  const Shape& shape = p->prepare.input_shape(i);
  return {static_cast<int32_t>(p->prepare.input_dtype(i)), shape.rank(), shape.dims().data()};
}
TenonType prepare_output(const TenonPrepare* p, int32_t i) {
  return type_of(p->prepare.output_dtype(i), p->prepare.output_shape(i));
}
int prepare_constant(const TenonPrepare* p, int32_t i, TenonTensor* value) {
  const Tensor* constant = p->prepare.constant(i);
  if (constant) *value = tensor_of(*constant);
  return constant != nullptr;
}
int32_t prepare_threads(const TenonPrepare* p) { return p->prepare.team(); }
void reserve_scratch(TenonPrepare* p, size_t bytes) { p->prepare.reserve_scratch(bytes); }
size_t reserve_temporary(TenonPrepare* p, size_t bytes) {
  const size_t begin = (p->prepare.scratch_bytes + kAlignment - 1) / kAlignment * kAlignment;
  p->prepare.reserve_scratch(begin + bytes);
  return begin;
}
int32_t prepare_device(const TenonPrepare* p, void** device) {
  *device = p->place.handle;
  return p->place.ordinal;
}
int32_t prepare_precision(const TenonPrepare* p) {
  return p->prepare.precision() == Precision::kFloat32 ? 0 : 1;
}
int prepare_frozen(const TenonPrepare* p, int32_t i) { return p->prepare.frozen(i); }

using Pack = TenonStatus* (*)(void*, const TenonTensor*, void*, void*);

StatusOr<Ref<Buffer>> pack_input(const PluginPlace& place, const Tensor& constant, size_t bytes,
                                 Pack pack, void* data) {
  Device* device = place.device ? place.device : cpu_device();
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> memory, device->allocate(bytes, false));
  TENON_ASSIGN_OR_RETURN(const auto stream, device->create_stream());
  const TenonTensor value = tensor_of(constant);
  TENON_RETURN_IF_ERROR(take(pack(data, &value, backend_stream(stream.get()), memory->data())));
  TENON_RETURN_IF_ERROR(stream->synchronize());
  return memory;
}

TenonStatus* prepare_packed(TenonPrepare* p, int32_t i, TenonText layout, size_t bytes, Pack pack,
                            void* data, void** memory) {
  if (i < 0 || i >= p->prepare.num_inputs()) {
    return give(index_error("input", i, p->prepare.num_inputs()));
  }
  if (!p->prepare.frozen(i) || is_object(p->prepare.input_dtype(i))) {
    return give(invalid_argument("input ", i, " is packed, which is not frozen"));
  }
  const std::string key = cat("plug-in ", p->place.ordinal, ": ", view_of(layout));
  StatusOr<Ref<Buffer>> packed = p->prepare.packed(i, key, [&](const Tensor& constant) {
    return pack_input(p->place, constant, bytes, pack, data);
  });
  if (!packed.ok()) return give(packed.status());
  if ((*packed)->size() < bytes) {
    return give(invalid_argument("a plug-in gives two packed forms one name, ", key));
  }
  *memory = (*packed)->data();
  p->packed.push_back(*std::move(packed));
  p->prepare.packed_only.push_back(i);
  return nullptr;
}

void may_overwrite(TenonPrepare* p, int32_t input, int32_t output) {
  p->prepare.may_overwrite(input, output);
}

int32_t run_num_inputs(const TenonRun* r) { return r->run.num_inputs(); }
int32_t run_num_outputs(const TenonRun* r) { return r->run.num_outputs(); }
TenonTensor run_input(const TenonRun* r, int32_t i) { return tensor_of(r->run.input(i)); }
TenonTensor run_output(TenonRun* r, int32_t i) { return tensor_of(r->run.output(i)); }
void* run_scratch(TenonRun* r) { return r->run.scratch(); }
void* run_stream(TenonRun* r) { return backend_stream(r->run.context().stream); }
TenonStatus* run_fork(TenonRun* r, void** stream) {
  Stream* first = r->run.context().stream;
  if (!first) return give(failed_precondition("the host's kernels have no stream"));
  const StatusOr<Stream*> second = first->fork();
  if (!second.ok()) return give(second.status());
  *stream = backend_stream(*second);
  return nullptr;
}
TenonStatus* run_join(TenonRun* r) {
  Stream* first = r->run.context().stream;
  return first ? give(first->join()) : nullptr;
}

TenonStatus* allocate_output(TenonRun* r, int32_t i, int32_t rank, const int64_t* dims,
                             TenonTensor* output) {
  if (i < 0 || i >= r->run.num_outputs()) {
    return give(index_error("output", i, r->run.num_outputs()));
  }
  const StatusOr<Shape> shape = shape_of(rank, dims);
  if (!shape.ok()) return give(shape.status());
  if (Status status = r->run.allocate_output(i, *shape); !status.ok()) return give(status);
  *output = tensor_of(r->run.output(i));
  return nullptr;
}

TenonText string_at(const TenonTensor* tensor, int64_t index) {
  return text_of(static_cast<const std::string_view*>(tensor->data)[index]);
}

TenonStatus* set_strings(TenonRun* r, int32_t i, int32_t rank, const int64_t* dims,
                         const TenonText* texts, size_t count) {
  if (i < 0 || i >= r->run.num_outputs() || r->run.output(i).dtype() != DType::kString) {
    return give(invalid_argument("a plug-in gives strings to output ", i));
  }
  const StatusOr<Shape> shape = shape_of(rank, dims);
  if (!shape.ok()) return give(shape.status());
  if (static_cast<size_t>(shape->num_elements()) != count) {
    return give(invalid_argument("a plug-in gives ", count, " strings for shape ", *shape));
  }
  StringTensorBuilder builder(*shape);
  for (size_t k = 0; k < count; ++k) builder.set(static_cast<int64_t>(k), view_of(texts[k]));
  r->run.set_output(i, std::move(builder).build());
  return nullptr;
}

TenonStatus* update_variables(TenonRun* r, int32_t first, int32_t count,
                              TenonStatus* (*change)(void*, TenonTensor*), void* data) {
  std::vector<Variable*> variables;
  for (int32_t i = first; i < first + count; ++i) {
    if (i < 0 || i >= r->run.num_inputs()) {
      return give(index_error("input", i, r->run.num_inputs()));
    }
    variables.push_back(r->run.input(i).object_as<Variable>());
    if (!variables.back()) return give(invalid_argument("input ", i, " is no variable"));
  }
  return give(update_together(variables, r->run.context().stream,
                              [&](std::span<Tensor* const> values) -> Status {
                                std::vector<TenonTensor> tensors;
                                for (const Tensor* value : values)
                                  tensors.push_back(tensor_of(*value));
                                return take(change(data, tensors.data()));
                              }));
}

TenonStatus* make_host_kernel(TenonPrepare* p, TenonHostKernel** kernel) {
  // It will run on a thread of the plug-in's, which has no team; kernels are made for this
  // thread's.
  const int team = team_size();
  const int asked = std::exchange(p->prepare.team_threads, 1);
  set_team_size(1);
  StatusOr<Kernel> made = cpu_device()->make_kernel(p->prepare);
  set_team_size(team);
  p->prepare.team_threads = asked;
  if (!made.ok()) return give(made.status());
  *kernel = new TenonHostKernel{*std::move(made)};
  return nullptr;
}

class HostKernelRun final : public KernelRun {
 public:
  using KernelRun::KernelRun;
  StatusOr<Tensor> allocate(DType dtype, const Shape& shape) override {
    return Tensor::allocate(dtype, shape);
  }
};

TenonStatus* run_host_kernel(TenonHostKernel* kernel, const TenonTensor* inputs, int32_t num_inputs,
                             const TenonTensor* outputs, int32_t num_outputs, void* scratch) {
  std::vector<Tensor> tensors;
  for (int32_t i = 0; i < num_inputs; ++i) tensors.push_back(borrowed(inputs[i]));
  for (int32_t i = 0; i < num_outputs; ++i) tensors.push_back(borrowed(outputs[i]));
  std::vector<Tensor*> pointers;
  for (Tensor& tensor : tensors) pointers.push_back(&tensor);
  RunContext context;
  HostKernelRun run(pointers.data(), num_inputs, pointers.data() + num_inputs, num_outputs, scratch,
                    context);
  return give(kernel->kernel(run));
}
void free_host_kernel(TenonHostKernel* kernel) { delete kernel; }

const TenonAttrs* shapes_attrs(const TenonShapes* s) { return &s->attrs; }
int32_t shapes_num_inputs(const TenonShapes* s) { return s->context.num_inputs(); }
int32_t shapes_num_outputs(const TenonShapes* s) { return s->context.num_outputs(); }
TenonType shapes_input(const TenonShapes* s, int32_t i) {
  return type_of(s->context.input_dtype(i), s->context.input(i));
}
int shapes_constant(const TenonShapes* s, int32_t i, TenonTensor* value) {
  const Tensor* constant = s->context.constant(i);
  if (constant) *value = tensor_of(*constant);
  return constant != nullptr;
}
TenonStatus* set_output_shape(TenonShapes* s, int32_t i, int32_t rank, const int64_t* dims) {
  if (i < 0 || i >= s->context.num_outputs()) {
    return give(index_error("output", i, s->context.num_outputs()));
  }
  if (rank > kMaxRank) return give(invalid_argument("a plug-in gave rank ", rank));
  s->context.set_output(
      i, rank < 0 ? PartialShape()
                  : PartialShape(std::span<const int64_t>(dims, static_cast<size_t>(rank))));
  return nullptr;
}

Endpoint endpoint_of(TenonEndpoint e) { return {e.node, e.index}; }
TenonEndpoint given(Endpoint e) { return {e.node, e.index}; }

const TenonAttrs* gradient_attrs(const TenonGradient* g) { return &g->attrs; }
int32_t gradient_num_inputs(const TenonGradient* g) { return g->gradient.num_inputs(); }
int32_t gradient_num_outputs(const TenonGradient* g) { return g->gradient.num_outputs(); }
TenonEndpoint gradient_input(const TenonGradient* g, int32_t i) {
  return given(g->gradient.input(i));
}
TenonEndpoint gradient_output(const TenonGradient* g, int32_t i) {
  return given(g->gradient.output(i));
}
TenonEndpoint gradient_dy(TenonGradient* g, int32_t i) { return given(g->gradient.dy(i)); }
TenonType endpoint_type(const TenonGradient* g, TenonEndpoint e) {
  const ValueInfo& value = g->gradient.graph().value(endpoint_of(e));
  return type_of(value.dtype, value.shape);
}

AttrValue attr_value(const TenonAttr& attr) {
  switch (attr.kind) {
    case TENON_ATTR_INT:
      return attr.integer;
    case TENON_ATTR_FLOAT:
      return static_cast<float>(attr.real);
    case TENON_ATTR_BOOL:
      return attr.integer != 0;
    case TENON_ATTR_STRING:
      return std::string(view_of(attr.text));
    case TENON_ATTR_TYPE:
      return static_cast<DType>(attr.integer);
    case TENON_ATTR_INTS:
      return std::vector<int64_t>(attr.integers, attr.integers + attr.count);
    case TENON_ATTR_FLOATS:
      return std::vector<float>(attr.reals, attr.reals + attr.count);
    case TENON_ATTR_STRINGS: {
      std::vector<std::string> texts;
      for (size_t i = 0; i < attr.count; ++i) texts.emplace_back(view_of(attr.texts[i]));
      return texts;
    }
    case TENON_ATTR_TYPES: {
      std::vector<DType> types;
      for (size_t i = 0; i < attr.count; ++i) types.push_back(static_cast<DType>(attr.types[i]));
      return types;
    }
    default:
      return std::monostate();
  }
}

TenonEndpoint add_node(TenonGradient* g, const char* op, const TenonEndpoint* inputs,
                       size_t num_inputs, const TenonAttr* attrs, size_t num_attrs) {
  std::vector<Endpoint> endpoints;
  for (size_t i = 0; i < num_inputs; ++i) endpoints.push_back(endpoint_of(inputs[i]));
  AttrMap map;
  for (size_t i = 0; i < num_attrs; ++i) map.set(attrs[i].name, attr_value(attrs[i]));
  return given(g->gradient.build().op(op, std::move(endpoints), std::move(map)));
}
TenonEndpoint add_constant(TenonGradient* g, const TenonTensor* value) {
  return given(g->gradient.build().constant(borrowed(*value).clone()));
}
void set_dx(TenonGradient* g, int32_t input, TenonEndpoint dx) {
  g->gradient.set_dx(input, endpoint_of(dx));
}

constexpr TenonHost kHost = {
    .struct_size = sizeof(TenonHost),
    .version = TENON_PLUGIN_VERSION,
    .make_status = make_status,
    .status_code = status_code,
    .status_message = status_message,
    .free_status = free_status,
    .parallel_for = run_parallel,
    .attr_int = attribute_functions::attr_int,
    .attr_float = attribute_functions::attr_float,
    .attr_bool = attribute_functions::attr_bool,
    .attr_string = attribute_functions::attr_string,
    .attr_type = attribute_functions::attr_type,
    .attr_ints = attribute_functions::attr_ints,
    .attr_floats = attribute_functions::attr_floats,
    .attr_shape = attribute_functions::attr_shape,
    .attr_tensor = attribute_functions::attr_tensor,
    .attr_count = attribute_functions::attr_count,
    .attr_string_at = attribute_functions::attr_string_at,
    .attr_type_at = attribute_functions::attr_type_at,
    .attr_bool_at = attribute_functions::attr_bool_at,
    .attr_shape_at = attribute_functions::attr_shape_at,
    .attr_tensor_at = attribute_functions::attr_tensor_at,
    .attr_fused = attribute_functions::attr_fused,
    .prepare_op = prepare_op,
    .prepare_node = prepare_node,
    .prepare_attrs = prepare_attrs,
    .prepare_num_inputs = prepare_num_inputs,
    .prepare_num_outputs = prepare_num_outputs,
    .prepare_input = prepare_input,
    .prepare_output = prepare_output,
    .prepare_constant = prepare_constant,
    .prepare_threads = prepare_threads,
    .prepare_device = prepare_device,
    .prepare_precision = prepare_precision,
    .prepare_frozen = prepare_frozen,
    .prepare_packed = prepare_packed,
    .reserve_scratch = reserve_scratch,
    .reserve_temporary = reserve_temporary,
    .may_overwrite = may_overwrite,
    .run_num_inputs = run_num_inputs,
    .run_num_outputs = run_num_outputs,
    .run_input = run_input,
    .run_output = run_output,
    .run_scratch = run_scratch,
    .run_stream = run_stream,
    .run_fork = run_fork,
    .run_join = run_join,
    .allocate_output = allocate_output,
    .string_at = string_at,
    .set_strings = set_strings,
    .update_variables = update_variables,
    .make_host_kernel = make_host_kernel,
    .run_host_kernel = run_host_kernel,
    .free_host_kernel = free_host_kernel,
    .shapes_attrs = shapes_attrs,
    .shapes_num_inputs = shapes_num_inputs,
    .shapes_num_outputs = shapes_num_outputs,
    .shapes_input = shapes_input,
    .shapes_constant = shapes_constant,
    .set_output_shape = set_output_shape,
    .gradient_attrs = gradient_attrs,
    .gradient_num_inputs = gradient_num_inputs,
    .gradient_num_outputs = gradient_num_outputs,
    .gradient_input = gradient_input,
    .gradient_output = gradient_output,
    .gradient_dy = gradient_dy,
    .endpoint_type = endpoint_type,
    .add_node = add_node,
    .add_constant = add_constant,
    .set_dx = set_dx,
};

}  // namespace

const TenonHost& plugin_host_functions() { return kHost; }

Status take(TenonStatus* status) {
  if (!status) return absl::OkStatus();
  const std::unique_ptr<TenonStatus> owned(status);
  constexpr int32_t kCodes = 16;
  if (owned->code <= 0 || owned->code > kCodes) {
    return internal("a plug-in failed with code ", owned->code, ": ", owned->message);
  }
  return Status(static_cast<absl::StatusCode>(owned->code), owned->message);
}

TenonStatus* give(const Status& status) {
  if (status.ok()) return nullptr;
  return new TenonStatus{static_cast<int32_t>(status.code()), std::string(message_of(status))};
}

}  // namespace tenon
