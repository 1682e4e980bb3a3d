#include "tenon/runtime/binding.h"

#include "tenon/base/log.h"
#include "tenon/base/thread_pool.h"
#include "tenon/core/device.h"
#include "tenon/core/node_prepare.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/shape_inference.h"
#include "tenon/runtime/binding_memory.h"
#include "tenon/runtime/host_work.h"
#include "tenon/runtime/segments.h"
#include "tenon/runtime/work.h"

namespace tenon {
namespace {

// Values up to this size are computed while binding when all their inputs are known.
constexpr int64_t kFoldedElements = 1024;

bool calls_functions(const Node& node) {
  for (const auto& [name, value] : node.attrs) {
    if (std::holds_alternative<FunctionAttr>(value) ||
        std::holds_alternative<std::vector<FunctionAttr>>(value)) {
      return true;
    }
  }
  return false;
}

class Binder {
 public:
  Binder(Binding& binding, const Plan& plan)
      : b_(binding), plan_(plan), graph_(plan.graph()), device_(plan.device()) {}

  Status run();

 private:
  int add_slot(Slot slot);
  int slot_of(Endpoint e) const { return first_slot_[static_cast<size_t>(e.node)] + e.index; }
  bool written_by_team(Endpoint e) { return slot(slot(slot_of(e)).root).far; }
  Slot& slot(int index) { return b_.slots[static_cast<size_t>(index)]; }
  bool separate_memory() const { return !device_->host_accessible(); }

  Status bind_argument(const Node& node);
  Status bind_node(NodeId id, const Node& node);
  StatusOr<bool> try_fold(const Node& node, int first, const NodeShapes& shapes);
  bool try_view(const Node& node, int first, const NodeShapes& shapes);
  Status prepare_step(Step& step, const NodeShapes& shapes);
  Status add_kernel_step(const Node& node, int first, const NodeShapes& shapes, bool is_static);
  bool runs_on_host(const Node& node) const;
  StatusOr<Tensor> upload(const Slot& constant);
  StatusOr<int> in_space(int index, bool on_host);
  int add_copy(int index, bool on_host, Step::Kind kind);
  bool output_on_host(const Node& node, const Step& step, int output);
  Status bind_results();
  void find_form();

  Binding& b_;
  const Plan& plan_;
  const Graph& graph_;
  Device* device_;
  std::vector<int> first_slot_;                 // by NodeId
  std::map<std::pair<int, bool>, int> copies_;  // (slot, on_host) -> its copy there
  std::vector<int> packed_only_;                // of the step that was prepared last
};

int Binder::add_slot(Slot added) {
  const int index = static_cast<int>(b_.slots.size());
  if (added.root < 0) added.root = index;
  b_.slots.push_back(std::move(added));
  return index;
}

Status Binder::run() {
  first_slot_.assign(static_cast<size_t>(graph_.size()), -1);
  b_.arg_slots.assign(b_.key.shapes.size(), -1);
  for (NodeId id : plan_.order()) {
    const Node& node = graph_.node(id);
    first_slot_[static_cast<size_t>(id)] = static_cast<int>(b_.slots.size());
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      Slot fresh;
      fresh.dtype = node.outputs[i].dtype;
      fresh.endpoint = {id, static_cast<int32_t>(i)};
      add_slot(std::move(fresh));
    }
    if (node.is("_Arg")) {
      TENON_RETURN_IF_ERROR(bind_argument(node));
    } else {
      TENON_RETURN_IF_ERROR(bind_node(id, node));
    }
  }
  TENON_RETURN_IF_ERROR(bind_results());
  if (separate_memory()) place_arguments_first(b_);
  place_memory(b_);
  if (separate_memory()) {
    find_reads_in_place(b_);
    find_segments(b_);
  }
  find_form();
  return absl::OkStatus();
}

// Long: much work, or an unknown amount. A device has queues of its own.
void Binder::find_form() {
  bool is_long = b_.work_ns >= kLongRun || plan_.team() > 0;
  for (const Step& step : b_.steps) {
    is_long |= step.kind == Step::Kind::kDynamic || (step.node && calls_functions(*step.node));
  }
  b_.form = separate_memory() ? RunForm::kDevice : is_long ? RunForm::kLong : RunForm::kShort;
}

Status Binder::bind_argument(const Node& node) {
  const auto index = static_cast<size_t>(node.attrs.get<int64_t>("index"));
  Slot& arg = b_.slots.back();
  arg.storage = Storage::kArgument;
  const Shape& shape = b_.key.shapes[index];
  arg.shape = shape;
  arg.on_host = b_.key.on_device.empty() || !b_.key.on_device[index];
  arg.source = static_cast<int>(index);
  b_.arg_slots[index] = static_cast<int>(b_.slots.size()) - 1;
  return with_context(Shape::make(shape.dims()).status(), cat("argument ", index));
}

Status Binder::bind_node(NodeId id, const Node& node) {
  const int first = first_slot_[static_cast<size_t>(id)];
  if (node.is("Const")) {
    Slot& constant = slot(first);
    constant.storage = Storage::kConstant;
    constant.constant = node.attrs.get<Tensor>("value");
    constant.shape = constant.constant.shape();
    constant.frozen = true;
    return absl::OkStatus();
  }
  NodeShapes shapes(*node.op, node.attrs, graph_.library().get());
  bool is_static = true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Slot& input = slot(slot_of(node.inputs[i]));
    const Tensor* constant = input.storage == Storage::kConstant ? &input.constant : nullptr;
    shapes.inputs.push_back(
        {input.dtype, input.shape, constant, input.handle ? &*input.handle : nullptr});
    is_static &= input.shape.is_fully_known();
    if (node.op->decl().host_inputs.contains(static_cast<int>(i), node.inputs.size()))
      is_static &= constant != nullptr;
  }
  if (Status status = shapes.infer(); !status.ok()) {
    return with_context(status, cat("node '", node.name, "'"));
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    slot(first + static_cast<int>(i)).shape = shapes.outputs[i];
    slot(first + static_cast<int>(i)).handle = shapes.handles[i];
  }
  TENON_ASSIGN_OR_RETURN(const bool folded, try_fold(node, first, shapes));
  if (folded || try_view(node, first, shapes)) return absl::OkStatus();
  return add_kernel_step(node, first, shapes, is_static);
}

// Shapes, axes and handles: small values that follow from what is known at binding.
StatusOr<bool> Binder::try_fold(const Node& node, int first, const NodeShapes& shapes) {
  const OpDecl& decl = node.op->decl();
  if (decl.effect != Effect::kNone || node.outputs.empty()) return false;
  std::vector<Tensor> inputs;
  bool frozen = true;
  for (const NodeShapes::Input& input : shapes.inputs) {
    if (input.constant) {
      inputs.push_back(*input.constant);
    } else if (decl.needs_only_shapes && input.shape.is_fully_known()) {
      inputs.emplace_back(input.dtype, input.shape.to_shape(), Ref<Buffer>(), nullptr);
      frozen = false;
    } else {
      return false;
    }
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const int64_t count = shapes.outputs[i].num_elements();
    if (count < 0 || count > kFoldedElements || node.outputs[i].dtype == DType::kVariant) {
      return false;
    }
  }
  if (calls_functions(node)) return false;
  for (Endpoint input : node.inputs) frozen &= slot(slot_of(input)).frozen;
  TENON_ASSIGN_OR_RETURN(
      std::vector<Tensor> outputs,
      evaluate(*node.op, node.attrs, node.name, inputs, shapes.outputs, plan_.state().get()));
  for (size_t i = 0; i < outputs.size(); ++i) {
    Slot& output = slot(first + static_cast<int>(i));
    output.storage = Storage::kConstant;
    output.shape = outputs[i].shape();
    output.constant = std::move(outputs[i]);
    output.frozen = frozen;
  }
  return true;
}

// A view of memory that has a place of its own costs nothing at run time.
bool Binder::try_view(const Node& node, int first, const NodeShapes& shapes) {
  if (node.outputs.size() != 1 || !shapes.outputs[0].is_fully_known()) return false;
  const OpDecl& decl = node.op->decl();
  const int same = decl.view_if_same_shape;
  bool is_same = same >= 0 && shapes.inputs[static_cast<size_t>(same)].shape == shapes.outputs[0];
  for (size_t i = 0; is_same && i < shapes.inputs.size(); ++i) {
    // One that is not known yet may be wrong, which is an error of the run.
    is_same = shapes.inputs[i].constant ||
              !decl.host_inputs.contains(static_cast<int>(i), shapes.inputs.size());
  }
  const int viewed = is_same ? same : decl.view_of;
  if (viewed < 0) return false;
  const int input = slot_of(node.inputs[static_cast<size_t>(viewed)]);
  const Slot source = slot(input);
  Slot& view = slot(first);
  switch (source.storage) {
    case Storage::kConstant:
      view.constant = source.constant.reshaped(view.shape.to_shape());
      break;
    case Storage::kArgument:
    case Storage::kArena:
      break;
    default:
      return false;
  }
  view.storage = source.storage;
  view.frozen = source.frozen;
  view.on_host = source.on_host;
  view.source = source.source;
  if (source.storage != Storage::kConstant) view.root = source.root;
  return true;
}

// Strings and variants are always in host memory, and so are the kernels that look into them.
bool Binder::runs_on_host(const Node& node) const {
  if (!separate_memory()) return true;
  const auto on_host_only = [](DType dtype) {
    return dtype == DType::kString || dtype == DType::kVariant;
  };
  for (Endpoint input : node.inputs) {
    if (on_host_only(graph_.value(input).dtype)) return true;
  }
  for (const ValueInfo& output : node.outputs) {
    if (on_host_only(output.dtype)) return true;
  }
  return node.op->decl().touches_no_elements() || !device_->implements(*node.op, node.attrs);
}

// A constant's copy in the device's memory; that of a frozen one is shared by all Bindings.
StatusOr<Tensor> Binder::upload(const Slot& constant) {
  const auto to_device = [&](const Tensor& value) -> StatusOr<Ref<Buffer>> {
    TENON_ASSIGN_OR_RETURN(const auto stream, device_->create_stream());
    TENON_ASSIGN_OR_RETURN(const Tensor copy, copy_to(value, stream.get()));
    TENON_RETURN_IF_ERROR(stream->synchronize());
    return copy.buffer();
  };
  Ref<Buffer> memory;
  if (constant.frozen) {
    TENON_ASSIGN_OR_RETURN(
        memory, plan_.packed(constant.endpoint, constant.constant, device_->name(), to_device));
  } else {
    TENON_ASSIGN_OR_RETURN(memory, to_device(constant.constant));
  }
  void* data = memory->data();
  return Tensor(constant.dtype, constant.shape.to_shape(), std::move(memory), data);
}

int Binder::add_copy(int index, bool on_host, Step::Kind kind) {
  Slot copy = slot(index);
  copy.root = -1;
  copy.on_host = on_host;
  copy.frozen = false;
  copy.storage = copy.shape.is_fully_known() ? Storage::kArena : Storage::kOwned;
  copy.source = -1;
  const int added = add_slot(std::move(copy));
  Step step;
  step.kind = kind;
  step.inputs = {index};
  step.outputs = {added};
  b_.steps.push_back(std::move(step));
  return added;
}

// The slot of the same value in the wanted memory; a copy step is added when it is elsewhere. What
// is captured finds arguments at one address: they are copied there.
StatusOr<int> Binder::in_space(int index, bool on_host) {
  if (!separate_memory() || is_object(slot(index).dtype)) return index;
  const bool staged = plan_.captures() && !on_host && slot(index).storage == Storage::kArgument;
  if (slot(index).on_host == on_host && !staged) return index;
  if (const auto it = copies_.find({index, on_host}); it != copies_.end()) return it->second;
  if (slot(index).storage == Storage::kConstant) {
    Slot copy = slot(index);
    copy.root = -1;
    copy.on_host = on_host;
    TENON_ASSIGN_OR_RETURN(copy.constant, upload(slot(index)));
    return copies_[{index, on_host}] = add_slot(std::move(copy));
  }
  const Step::Kind kind = on_host               ? Step::Kind::kToHost
                          : slot(index).on_host ? Step::Kind::kToDevice
                                                : Step::Kind::kCopy;
  return copies_[{index, on_host}] = add_copy(index, on_host, kind);
}

Status Binder::prepare_step(Step& step, const NodeShapes& shapes) {
  std::vector<const Tensor*> constants;
  std::vector<bool> frozen;
  std::vector<Shape> input_shapes;
  int64_t far_bytes = 0;
  for (size_t i = 0; i < shapes.inputs.size(); ++i) {
    constants.push_back(shapes.inputs[i].constant);
    frozen.push_back(slot(slot_of(step.node->inputs[i])).frozen);
    input_shapes.push_back(shapes.inputs[i].shape.to_shape());
    if (written_by_team(step.node->inputs[i])) {
      far_bytes +=
          input_shapes.back().num_elements() * size_of(slot(slot_of(step.node->inputs[i])).dtype);
    }
  }
  const auto prepare = [&] {
    step.overwrites.clear();
    return prepare_kernel(plan_, *step.node, step.on_host, b_.most_threads, far_bytes, constants,
                          frozen, input_shapes, shapes.outputs, &step.overwrites);
  };
  StatusOr<PreparedKernel> prepared = prepare();
  // What the device's kernels do not take, the host does.
  if (!step.on_host && prepared.status().code() == absl::StatusCode::kUnimplemented) {
    step.on_host = true;
    prepared = prepare();
  }
  TENON_RETURN_IF_ERROR(prepared.status());
  step.kernel = std::move(prepared->kernel);
  step.team = prepared->team;
  step.work_ns = prepared->work_ns;
  b_.work_ns += prepared->work_ns;
  step.scratch_bytes = prepared->scratch_bytes;
  packed_only_ = std::move(prepared->packed_only);
  size_t& scratch = step.on_host ? b_.scratch_bytes : b_.device_scratch_bytes;
  scratch = std::max(scratch, step.scratch_bytes);
  return absl::OkStatus();
}

Status Binder::add_kernel_step(const Node& node, int first, const NodeShapes& shapes,
                               bool is_static) {
  const OpDecl& decl = node.op->decl();
  Step step;
  step.node = &node;
  step.on_host = runs_on_host(node);
  packed_only_.clear();
  if (is_static) {
    // Before inputs are placed: that adds slots, and the constants of `shapes` are in slots.
    TENON_RETURN_IF_ERROR(prepare_step(step, shapes));
  } else {
    step.kind = Step::Kind::kDynamic;
    step.cache = std::make_unique<DynamicCache>();
  }
  step.on_stream = !step.on_host || !separate_memory() || decl.touches_no_elements();
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    int placed = slot_of(node.inputs[i]);
    if (decl.host_inputs.contains(static_cast<int>(i), node.inputs.size())) {
      TENON_ASSIGN_OR_RETURN(placed, in_space(placed, true));
    } else if (std::find(packed_only_.begin(), packed_only_.end(), static_cast<int>(i)) !=
               packed_only_.end()) {
      // Nobody reads it.
    } else if (!decl.touches_no_elements()) {
      TENON_ASSIGN_OR_RETURN(placed, in_space(placed, step.on_host));
    }
    step.inputs.push_back(placed);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const int index = first + static_cast<int>(i);
    step.outputs.push_back(index);
    Slot& output = slot(index);
    output.on_host = output_on_host(node, step, static_cast<int>(i));
    const bool known = is_static && output.shape.is_fully_known() && !decl.sets_outputs();
    output.storage = known && !is_object(output.dtype) ? Storage::kArena : Storage::kOwned;
    if (known && is_object(output.dtype)) step.fresh.push_back(index);
    output.far = step.team > 1 && !is_object(output.dtype);
  }
  b_.steps.push_back(std::move(step));
  return absl::OkStatus();
}

bool Binder::output_on_host(const Node& node, const Step& step, int output) {
  const OpDecl& decl = node.op->decl();
  const size_t count = node.outputs.size();
  if (!separate_memory() || is_object(node.outputs[static_cast<size_t>(output)].dtype)) return true;
  if (decl.view_of >= 0) return slot(step.inputs[static_cast<size_t>(decl.view_of)]).on_host;
  // What a handle refers to is where the kernel's stream is.
  if (decl.by_reference) return false;
  return step.on_host || decl.host_outputs.contains(output, count);
}

Status Binder::bind_results() {
  for (size_t i = 0; i < graph_.results.size(); ++i) {
    const int value = slot_of(graph_.results[i]);
    if (!b_.key.results_stay) {
      TENON_ASSIGN_OR_RETURN(const int index, in_space(value, true));
      b_.result_slots.push_back(index);
      continue;
    }
    // What is captured writes to one address: the caller gets a copy.
    const bool staged = separate_memory() && plan_.captures() && !slot(value).on_host &&
                        slot(value).storage == Storage::kArena;
    b_.result_slots.push_back(staged ? add_copy(value, false, Step::Kind::kCopy) : value);
  }
  return absl::OkStatus();
}

// In one line for each Plan, whatever the number of its Bindings.
void tell_host_work(const Binding& binding) {
  const Device& device = *binding.plan->device();
  if (device.host_accessible()) return;
  const HostWork work = host_work_of(binding);
  if (work.steps.empty() || !binding.plan->first_to_say()) return;
  log_info(device.name(), " has no kernel for ", work.ops(),
           " as used here: ", work.steps.size() == 1 ? "it runs" : "they run",
           " on the host, and a run copies ", human_bytes(work.copied_bytes), " for that");
}

}  // namespace

BindingKey::BindingKey(std::span<const Tensor> args, bool results_stay)
    : results_stay(results_stay) {
  bool any = false;
  for (const Tensor& arg : args) {
    shapes.push_back(arg.shape());
    any |= device_of(arg) != nullptr;
  }
  if (!any) return;
  for (const Tensor& arg : args) on_device.push_back(device_of(arg) != nullptr);
}

bool BindingKey::fits(std::span<const Tensor> args, bool stay) const {
  if (stay != results_stay) return false;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!(shapes[i] == args[i].shape())) return false;
    if ((device_of(args[i]) != nullptr) != (!on_device.empty() && on_device[i])) return false;
  }
  return true;
}

StatusOr<std::shared_ptr<const Binding>> Binding::create(std::shared_ptr<const Plan> plan,
                                                         BindingKey key) {
  auto binding = std::make_shared<Binding>(plan, key, ThreadPool::configured_threads());
  TENON_RETURN_IF_ERROR(Binder(*binding, *plan).run());
  bool wide = false;
  for (const Step& step : binding->steps) wide |= step.team > 1;
  if (plan->team() == 0 && binding->form == RunForm::kShort && wide) {
    // All together they are little: kernels that share their work would only lay it out for nobody.
    binding = std::make_shared<Binding>(plan, std::move(key), 1);
    TENON_RETURN_IF_ERROR(Binder(*binding, *plan).run());
  }
  tell_host_work(*binding);
  return std::shared_ptr<const Binding>(std::move(binding));
}

size_t Binding::own_bytes() const {
  // Of a step's kernel, with what the library behind it keeps for it: measured, 1 to 4 KB with
  // ours.
  constexpr size_t kKernelBytes = 8 << 10;
  // An Instance has a tensor for each slot, and a pointer and a KernelRun for each use and step.
  size_t bytes = sizeof(Binding) + slots.size() * (sizeof(Slot) + sizeof(Tensor)) +
                 steps.size() * (sizeof(Step) + sizeof(KernelRun) + kKernelBytes);
  for (const Slot& slot : slots) {
    if (slot.storage == Storage::kConstant && !slot.frozen) bytes += slot.constant.num_bytes();
  }
  return bytes;
}

}  // namespace tenon
