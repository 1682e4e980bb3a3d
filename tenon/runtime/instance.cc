#include "tenon/runtime/instance.h"

#include <algorithm>

#include "tenon/base/float_mode.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/base/parallel.h"
#include "tenon/base/timeline.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/shape_inference.h"
#include "tenon/runtime/step_profile.h"

namespace tenon {

namespace {

// The team of the calling thread for the duration of a run.
struct TeamOfRun {
  TeamOfRun() : before(team_size()) {}
  ~TeamOfRun() { set_team_size(before); }
  const int before;
};

// Does somebody want to know what each step takes?
bool is_timed() { return StepProfile::is_on() || Timeline::is_on(); }

void lead(int team) { set_team_size(team, team > 1 ? RunTurn::threads() : 1); }

}  // namespace

Instance::Instance(std::shared_ptr<const Binding> binding)
    : binding_(std::move(binding)), slots_(binding_->slots.size()) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = binding_->slots[i];
    if (slot.storage == Storage::kConstant) slots_[i] = slot.constant;
    if (slot.storage == Storage::kOwned) owned_.push_back(static_cast<int>(i));
    if (slot.storage != Storage::kArgument && slot.storage != Storage::kResult) continue;
    const bool is_view = slot.root != static_cast<int>(i);
    (slot.storage == Storage::kArgument ? arguments_ : results_)
        .push_back(
            {static_cast<int>(i), slot.source, slot.shape.to_shape(), slot.bytes(), is_view});
  }
  size_t count = 0;
  for (const Step& step : binding_->steps) count += step.inputs.size() + step.outputs.size();
  pointers_.reserve(count);
  for (const Step& step : binding_->steps) {
    for (int i : step.inputs) pointers_.push_back(&slots_[static_cast<size_t>(i)]);
    for (int i : step.outputs) pointers_.push_back(&slots_[static_cast<size_t>(i)]);
  }
  runs_.reserve(binding_->steps.size());
  captured_.resize(binding_->segments.size());
}

Status Instance::attach(std::unique_ptr<Workspace> workspace) {
  TENON_RETURN_IF_ERROR(workspace->reserve(*binding_));
  workspace_ = std::move(workspace);
  const bool separate = binding_->device_arena_bytes > 0;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = binding_->slots[i];
    if (slot.storage != Storage::kArena) continue;
    const Ref<Buffer>& arena = workspace_->arena(slot.on_host || !separate);
    slots_[i] = Tensor(slot.dtype, slot.shape.to_shape(), arena,
                       static_cast<char*>(arena->data()) + slot.offset);
  }
  Tensor** first = pointers_.data();
  for (const Step& step : binding_->steps) {
    Tensor** outputs = first + step.inputs.size();
    runs_.emplace_back(first, static_cast<int>(step.inputs.size()), outputs,
                       static_cast<int>(step.outputs.size()), workspace_->scratch(step.on_host),
                       context_of(step), workspace_->dynamic_memory(step.on_host));
    first = outputs + step.outputs.size();
  }
  return absl::OkStatus();
}

std::unique_ptr<Workspace> Instance::detach() {
  runs_.clear();
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (binding_->slots[i].storage == Storage::kArena) slots_[i] = Tensor();
  }
  return std::move(workspace_);
}

Status Instance::run(const RunContext& context, std::span<const Tensor> args,
                     std::vector<Tensor>& results, Completion* after) {
  Status status = enter(context, args, after);
  if (status.ok()) status = place_results(results);
  if (status.ok()) status = or_out_of_memory([&] { return run_steps(); });
  if (status.ok()) status = on_device() ? finish(args, results) : take_results(results);
  // Memory must not be given back while the device may still write it.
  if (!status.ok()) workspace_->stream().synchronize().IgnoreError();
  forget();
  return status;
}

Status Instance::enter(const RunContext& context, std::span<const Tensor> args, Completion* after) {
  Stream& stream = workspace_->stream();
  context_ = context;
  context_.stream = &stream;
  context_.reads_in_place = false;
  if (on_device()) {
    in_place_context_ = host_context_ = context_;
    in_place_context_.reads_in_place = true;
    host_context_.stream = nullptr;
    end_.reset();
    stream.begin_run();
    if (after) after->before(stream).IgnoreError();
    for (const Tensor& arg : args) {
      if (!arg.buffer() || !arg.buffer()->completion()) continue;
      TENON_RETURN_IF_ERROR(arg.buffer()->completion()->before(stream));
    }
  }
  for (const Place& place : arguments_) {
    const Tensor& arg = args[static_cast<size_t>(place.source)];
    slots_[static_cast<size_t>(place.slot)] = place.is_view ? arg.reshaped(place.shape) : arg;
  }
  return absl::OkStatus();
}

// Waits, or notes what there is to wait for.
Status Instance::finish(std::span<const Tensor> args, std::vector<Tensor>& results) {
  Stream& stream = workspace_->stream();
  Device* device = stream.device();
  TENON_RETURN_IF_ERROR(stream.join());
  // Memory that a device's owner lent goes back to it when the run is over.
  const bool lent = std::any_of(args.begin(), args.end(), [](const Tensor& arg) {
    return device_of(arg) && arg.buffer()->read_only();
  });
  if (!binding_->key.results_stay || lent) {
    TENON_RETURN_IF_ERROR(stream.synchronize());
    TENON_RETURN_IF_ERROR(take_results(results));
    // Where it had to copy what stays.
    return binding_->key.results_stay ? stream.synchronize() : absl::OkStatus();
  }
  TENON_RETURN_IF_ERROR(take_results(results));
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<Event> event, device->create_event());
  TENON_RETURN_IF_ERROR(stream.record(*event));
  std::vector<std::shared_ptr<Completion>> inputs;
  for (const Tensor& arg : args) {
    if (!arg.buffer()) continue;
    const auto& input = arg.buffer()->completion();
    if (input && !input->is_known()) inputs.push_back(input);
  }
  end_ = std::make_shared<Completion>(device, std::move(event), std::move(inputs));
  for (size_t i = 0; i < results.size(); ++i) {
    const Slot& slot = binding_->slots[static_cast<size_t>(binding_->result_slots[i])];
    const bool ours = slot.storage == Storage::kResult || slot.storage == Storage::kOwned;
    if (ours && device_of(results[i])) results[i].buffer()->set_completion(end_);
  }
  return absl::OkStatus();
}

// A result of an earlier run is written over when nobody else holds it. A device may still be
// reading one, so those are new.
Status Instance::place_result(const Place& place, Tensor& result) const {
  const Slot& slot = binding_->slots[static_cast<size_t>(place.slot)];
  if (!slot.on_host && on_device()) {
    TENON_ASSIGN_OR_RETURN(Ref<Buffer> memory,
                           binding_->plan->device()->allocate(place.bytes, false));
    void* data = memory->data();
    result = Tensor(slot.dtype, place.shape, std::move(memory), data);
    return absl::OkStatus();
  }
  const bool reusable = result.has_value() && result.dtype() == slot.dtype && result.writable() &&
                        !device_of(result) && result.num_bytes() == place.bytes;
  if (!reusable) {
    TENON_ASSIGN_OR_RETURN(result, Tensor::allocate(slot.dtype, place.shape));
  } else if (!(place.shape == result.shape())) {
    result = result.reshaped(place.shape);
  }
  return absl::OkStatus();
}

// Results that the run itself writes get the caller's memory, or new memory.
Status Instance::place_results(std::vector<Tensor>& results) {
  const Binding& b = *binding_;
  results.resize(b.result_slots.size());
  for (size_t i = 0; i < results.size(); ++i) {
    const Slot& slot = b.slots[static_cast<size_t>(b.result_slots[i])];
    const bool is_written = slot.storage == Storage::kResult &&
                            b.slots[static_cast<size_t>(slot.root)].source == static_cast<int>(i);
    if (!is_written) results[i] = Tensor();
  }
  for (const Place& place : results_) {
    if (b.result_slots[static_cast<size_t>(place.source)] == place.slot) {
      TENON_RETURN_IF_ERROR(place_result(place, results[static_cast<size_t>(place.source)]));
    }
  }
  for (const Place& place : results_) {
    Tensor& memory = results[static_cast<size_t>(place.source)];
    slots_[static_cast<size_t>(place.slot)] =
        Tensor(b.slots[static_cast<size_t>(place.slot)].dtype, place.shape, memory.buffer(),
               memory.mutable_raw());
  }
  return absl::OkStatus();
}

Status Instance::run_steps() {
  const TeamOfRun team;
  const FlushSubnormals flush;
  const bool timed = is_timed();
  const std::vector<Segment>& segments = binding_->segments;
  size_t segment = 0;
  for (size_t i = 0; i < binding_->steps.size();) {
    TENON_RETURN_IF_ERROR(RunTurn::check());
    if (segment < segments.size() && segments[segment].first == i && !timed) {
      TENON_RETURN_IF_ERROR(run_segment(segment));
      i = segments[segment++].last;
    } else {
      TENON_RETURN_IF_ERROR(run_and_release(i));
      ++i;
    }
  }
  return absl::OkStatus();
}

Status Instance::run_and_release(size_t index) {
  const Step& step = binding_->steps[index];
  const Status status = is_timed() ? run_timed(index) : run_step(index);
  if (!status.ok()) return step.node ? with_context(status, describe(*step.node)) : status;
  for (int slot : step.release) slots_[static_cast<size_t>(slot)] = Tensor();
  return absl::OkStatus();
}

Status Instance::run_step(size_t index) {
  const Step& step = binding_->steps[index];
  switch (step.kind) {
    case Step::Kind::kKernel:
      return run_kernel(index);
    case Step::Kind::kDynamic:
      return run_dynamic(step);
    default:
      return run_copy(step);
  }
}

Status Instance::run_timed(size_t index) {
  const auto start = Timeline::Clock::now();
  Status status = run_step(index);
  const auto end = Timeline::Clock::now();
  const Step& step = binding_->steps[index];
  if (StepProfile::is_on()) StepProfile::add(*binding_, step, end - start);
  if (Timeline::is_on()) {
    // "node:Op" is how TensorFlow's profiler tells ops from other work.
    Timeline::add(step.node ? cat(step.node->name, ":", step.node->op->name()) : "copy", start,
                  end);
  }
  return status;
}

Status Instance::run_kernel(size_t index) {
  const Step& step = binding_->steps[index];
  for (int fresh : step.fresh) {
    const Slot& slot = binding_->slots[static_cast<size_t>(fresh)];
    TENON_ASSIGN_OR_RETURN(slots_[static_cast<size_t>(fresh)],
                           Tensor::allocate(slot.dtype, slot.shape.to_shape()));
  }
  for (int output : step.outputs) {
    const Slot& slot = binding_->slots[static_cast<size_t>(output)];
    // The kernel allocates it and asks for its dtype.
    if (slot.storage == Storage::kOwned && !slots_[static_cast<size_t>(output)].has_value()) {
      slots_[static_cast<size_t>(output)] = Tensor(slot.dtype, Shape(), Ref<Buffer>(), nullptr);
    }
  }
  lead(step.team);
  TENON_RETURN_IF_ERROR(step.kernel(runs_[index]));
  for (int output : step.outputs) {
    const Slot& slot = binding_->slots[static_cast<size_t>(output)];
    if (slot.storage != Storage::kOwned) continue;
    Tensor& value = slots_[static_cast<size_t>(output)];
    TENON_RETURN_IF_ERROR(keep(value, context_.stream));
    if (!slot.shape.matches(value.shape())) {
      return internal("output ", slot.endpoint.index, " has shape ", value.shape(), ", ",
                      slot.shape, " was inferred");
    }
  }
  return absl::OkStatus();
}

namespace {

// What a prepared kernel depends on: the shapes of all inputs and the values of the host inputs.
std::string dynamic_key(const Step& step, const std::vector<Tensor>& slots) {
  std::string key;
  const auto add = [&](const void* bytes, size_t size) {
    key.append(static_cast<const char*>(bytes), size);
  };
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    const Tensor& input = slots[static_cast<size_t>(step.inputs[i])];
    const int64_t rank = input.rank();
    add(&rank, sizeof(rank));
    add(input.shape().dims().data(), sizeof(int64_t) * static_cast<size_t>(rank));
    if (!step.node->op->decl().host_inputs.contains(static_cast<int>(i), step.inputs.size()))
      continue;
    if (input.dtype() == DType::kString) {
      for (std::string_view text : input.span<std::string_view>()) key += cat(text.size(), text);
    } else {
      add(input.raw(), input.num_bytes());
    }
  }
  return key;
}

}  // namespace

StatusOr<std::shared_ptr<const PreparedKernel>> Instance::prepare_dynamic(const Step& step) {
  const std::string key = dynamic_key(step, slots_);
  if (auto found = step.cache->find(key)) return found;
  const Plan& plan = *binding_->plan;
  const OpDef& op = *step.node->op;
  NodeShapes shapes(op, step.node->attrs, plan.graph().library().get());
  std::vector<const Tensor*> constants;
  std::vector<bool> frozen;
  std::vector<Shape> input_shapes;
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    const Slot& slot = binding_->slots[static_cast<size_t>(step.inputs[i])];
    const Tensor& input = slots_[static_cast<size_t>(step.inputs[i])];
    const bool known = op.decl().host_inputs.contains(static_cast<int>(i), step.inputs.size()) ||
                       (slot.storage == Storage::kConstant && slot.on_host);
    constants.push_back(known ? &input : nullptr);
    frozen.push_back(slot.frozen);
    input_shapes.push_back(input.shape());
    shapes.inputs.push_back(
        {input.dtype(), input.shape(), constants.back(), slot.handle ? &*slot.handle : nullptr});
  }
  TENON_RETURN_IF_ERROR(shapes.infer());
  const auto prepare = [&](bool on_host) {
    return prepare_kernel(plan, *step.node, on_host, binding_->most_threads, 0, constants, frozen,
                          input_shapes, shapes.outputs, nullptr);
  };
  StatusOr<PreparedKernel> prepared = prepare(step.on_host);
  // What the device's kernels do not take, the host does.
  if (!step.on_host && prepared.status().code() == absl::StatusCode::kUnimplemented) {
    prepared = prepare(true);
  }
  TENON_RETURN_IF_ERROR(prepared.status());
  auto shared = std::make_shared<const PreparedKernel>(*std::move(prepared));
  step.cache->insert(key, shared);
  return std::shared_ptr<const PreparedKernel>(shared);
}

Status Instance::run_dynamic(const Step& step) {
  // Shapes and host inputs are read here, so what makes them must be done.
  TENON_RETURN_IF_ERROR(context_.stream->synchronize());
  TENON_ASSIGN_OR_RETURN(const auto prepared, prepare_dynamic(step));
  if (prepared->on_host && !step.on_host) return run_dynamic_on_host(step, *prepared);
  BumpArena& memory = workspace_->dynamic_memory(step.on_host);
  std::vector<Tensor*> pointers;
  for (int i : step.inputs) pointers.push_back(&slots_[static_cast<size_t>(i)]);
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    const Slot& slot = binding_->slots[static_cast<size_t>(step.outputs[i])];
    Tensor& output = slots_[static_cast<size_t>(step.outputs[i])];
    if (prepared->outputs[i].is_fully_known() && !step.node->op->decl().sets_outputs()) {
      BumpArena& place = slot.on_host ? workspace_->dynamic_memory(true) : memory;
      TENON_ASSIGN_OR_RETURN(output, place.allocate(slot.dtype, prepared->outputs[i].to_shape()));
    } else {
      output = Tensor(slot.dtype, Shape(), Ref<Buffer>(), nullptr);
    }
    pointers.push_back(&output);
  }
  TENON_ASSIGN_OR_RETURN(
      Tensor scratch,
      memory.allocate(DType::kUint8, Shape{static_cast<int64_t>(prepared->scratch_bytes)}));
  StepRun run(pointers.data(), static_cast<int>(step.inputs.size()),
              pointers.data() + step.inputs.size(), static_cast<int>(step.outputs.size()),
              scratch.mutable_raw(), context_of(step), memory);
  lead(prepared->team);
  TENON_RETURN_IF_ERROR(prepared->kernel(run));
  for (int index : step.outputs) {
    TENON_RETURN_IF_ERROR(keep(slots_[static_cast<size_t>(index)], context_.stream));
  }
  // `pointers` and `scratch` end here; work that is under way must not need them.
  return step.on_host ? absl::OkStatus() : context_.stream->synchronize();
}

// A step of the device's that only the host has a kernel for: on copies of its inputs.
Status Instance::run_dynamic_on_host(const Step& step, const PreparedKernel& prepared) {
  BumpArena& memory = workspace_->dynamic_memory(true);
  Stream& stream = *context_.stream;
  std::vector<Tensor> tensors;
  for (int i : step.inputs) {
    const Tensor& input = slots_[static_cast<size_t>(i)];
    tensors.push_back(input);
    if (!device_of(input) || is_object(input.dtype())) continue;
    TENON_ASSIGN_OR_RETURN(tensors.back(), memory.allocate(input.dtype(), input.shape()));
    TENON_RETURN_IF_ERROR(
        stream.copy_to_host(tensors.back().mutable_raw(), input.raw(), input.num_bytes()));
  }
  TENON_RETURN_IF_ERROR(stream.synchronize());
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    const DType dtype = binding_->slots[static_cast<size_t>(step.outputs[i])].dtype;
    tensors.emplace_back(dtype, Shape(), Ref<Buffer>(), nullptr);
    if (!prepared.outputs[i].is_fully_known() || step.node->op->decl().sets_outputs()) continue;
    TENON_ASSIGN_OR_RETURN(tensors.back(), memory.allocate(dtype, prepared.outputs[i].to_shape()));
  }
  TENON_ASSIGN_OR_RETURN(
      Tensor scratch,
      memory.allocate(DType::kUint8, Shape{static_cast<int64_t>(prepared.scratch_bytes)}));
  std::vector<Tensor*> pointers;
  for (Tensor& tensor : tensors) pointers.push_back(&tensor);
  const size_t count = step.inputs.size();
  StepRun run(pointers.data(), static_cast<int>(count), pointers.data() + count,
              static_cast<int>(step.outputs.size()), scratch.mutable_raw(), host_context_, memory);
  lead(prepared.team);
  TENON_RETURN_IF_ERROR(prepared.kernel(run));
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    const Slot& slot = binding_->slots[static_cast<size_t>(step.outputs[i])];
    const Tensor& value = tensors[count + i];
    Tensor& output = slots_[static_cast<size_t>(step.outputs[i])];
    output = value;
    if (slot.on_host || is_object(slot.dtype)) continue;
    TENON_ASSIGN_OR_RETURN(output,
                           workspace_->dynamic_memory(false).allocate(slot.dtype, value.shape()));
    TENON_RETURN_IF_ERROR(
        stream.copy_from_host(output.mutable_raw(), value.raw(), value.num_bytes()));
  }
  for (int index : step.outputs) {
    TENON_RETURN_IF_ERROR(keep(slots_[static_cast<size_t>(index)], &stream));
  }
  return stream.synchronize();
}

Status Instance::run_copy(const Step& step) {
  const Tensor& from = slots_[static_cast<size_t>(step.inputs[0])];
  const Slot& slot = binding_->slots[static_cast<size_t>(step.outputs[0])];
  Tensor& to = slots_[static_cast<size_t>(step.outputs[0])];
  if (slot.storage == Storage::kOwned) {
    TENON_RETURN_IF_ERROR(context_.stream->synchronize());
    BumpArena& memory = workspace_->dynamic_memory(slot.on_host);
    TENON_ASSIGN_OR_RETURN(to, memory.allocate(slot.dtype, from.shape()));
  }
  Stream& stream = *context_.stream;
  if (step.kind == Step::Kind::kCopy) {
    return stream.copy(to.mutable_raw(), from.raw(), from.num_bytes());
  }
  if (step.kind == Step::Kind::kToDevice) {
    return stream.copy_from_host(to.mutable_raw(), from.raw(), from.num_bytes());
  }
  TENON_RETURN_IF_ERROR(stream.copy_to_host(to.mutable_raw(), from.raw(), from.num_bytes()));
  return step.awaited ? stream.synchronize() : absl::OkStatus();
}

Status Instance::take_results(std::vector<Tensor>& results) {
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].has_value()) continue;
    const Slot& slot = binding_->slots[static_cast<size_t>(binding_->result_slots[i])];
    Tensor& value = slots_[static_cast<size_t>(binding_->result_slots[i])];
    results[i] = value;
    if (slot.storage == Storage::kOwned && device_of(value) && !slot.on_host &&
        binding_->key.results_stay) {
      // It may be what several readers of a variable share: theirs to wait for is another run.
      TENON_ASSIGN_OR_RETURN(results[i], copy_to(value, context_.stream));
    } else {
      TENON_RETURN_IF_ERROR(keep(results[i], context_.stream));
    }
  }
  return absl::OkStatus();
}

// Drops everything that belongs to the caller or outlives the run.
void Instance::forget() {
  for (const Place& place : arguments_) slots_[static_cast<size_t>(place.slot)] = Tensor();
  for (const Place& place : results_) slots_[static_cast<size_t>(place.slot)] = Tensor();
  for (int index : owned_) slots_[static_cast<size_t>(index)] = Tensor();
  for (bool on_host : {true, false}) workspace_->dynamic_memory(on_host).reset();
}

}  // namespace tenon
