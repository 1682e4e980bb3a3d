#include "tenon/graph/function_library.h"
#include "tenon/keras/layers/recurrent.h"

namespace tenon::keras {

namespace {

// A loop variable: its value before the loop.
using LoopValues = std::vector<Endpoint>;

// Swaps batch and time.
Endpoint swap_time(GraphBuilder& g, Endpoint x) {
  if (!g.status().ok()) return {};
  std::vector<int64_t> order;
  for (int axis = 0; axis < g.shape(x).rank(); ++axis) order.push_back(axis);
  std::swap(order[0], order[1]);
  return g.op("Transpose", {x, g.integers(order)});
}

// A list of the steps of `x`, [batch, time, ...], the first to be taken at its end: taking from
// the end, unlike reading at an index, has a gradient that costs as much as one step.
Endpoint list_of_steps(GraphBuilder& g, Endpoint x, bool go_backwards) {
  Endpoint steps = swap_time(g, x);
  if (!go_backwards) steps = g.op("ReverseV2", {steps, g.integers({0})});
  if (!g.status().ok()) return {};
  std::vector<int64_t> shape(g.shape(steps).dims().begin() + 1, g.shape(steps).dims().end());
  return g.op("TensorListFromTensor", {steps, g.integers(shape)},
              {{"element_dtype", g.dtype(steps)}});
}

// The arguments of a function over the loop's variables.
LoopValues loop_arguments(GraphBuilder& b, const Graph& outside, const LoopValues& values) {
  LoopValues args;
  for (size_t i = 0; i < values.size(); ++i) {
    const ValueInfo& value = outside.value(values[i]);
    args.push_back(b.arg(cat("v", i), value.dtype, value.shape));
    if (b.status().ok()) b.graph().value(args.back()).handle = value.handle;
  }
  return args;
}

struct Function {
  explicit Function(std::shared_ptr<FunctionLibrary> of) : library(std::move(of)), b(graph) {}
  StatusOr<FunctionAttr> add(std::string_view name, std::vector<Endpoint> results) {
    TENON_RETURN_IF_ERROR(b.status());
    graph.results = std::move(results);
    for (size_t i = 0; i < graph.results.size(); ++i) graph.result_names.push_back(cat("r", i));
    const FunctionAttr function{library->unique_name(name), nullptr};
    library->add(function.name, std::move(graph));
    return function;
  }
  std::shared_ptr<FunctionLibrary> library;
  Graph graph;
  GraphBuilder b;
};

// Where the loop's variables stand: counter, steps, inputs, [mask], output, [outputs], states,
// constants.
struct LoopLayout {
  bool masked = false, collects = false;
  size_t states = 0;
  size_t mask() const { return 3; }
  size_t output() const { return masked ? 4 : 3; }
  size_t outputs() const { return output() + 1; }
  size_t first_state() const { return output() + (collects ? 2 : 1); }
  size_t first_constant() const { return first_state() + states; }
};

// Pops the last element of list variable `at`, of the dtype and shape of a step of `whole`.
Endpoint pop_step(GraphBuilder& b, LoopValues& values, size_t at, DType dtype,
                  const PartialShape& whole) {
  std::vector<int64_t> shape(whole.dims().begin() + 1, whole.dims().end());
  shape[0] = whole[0];
  const std::vector<Endpoint> popped =
      b.ops("TensorListPopBack", {values[at], b.integers(shape)}, {{"element_dtype", dtype}});
  if (popped.size() != 2) return {};
  values[at] = popped[0];
  return popped[1];
}

PartialShape without_time(const PartialShape& sequences) {
  std::vector<int64_t> dims(sequences.dims().begin(), sequences.dims().end());
  // Dimension 1 goes; one before it is put there for pop_step(), which drops the first.
  dims[1] = dims[0];
  return PartialShape(dims);
}

StatusOr<FunctionAttr> loop_body(const Graph& outside, const RecurrentCell& cell,
                                 const RecurrentLoop& options, const LoopLayout& layout,
                                 const LoopValues& initial, const ValueInfo& sequences) {
  Function f(outside.library());
  GraphBuilder& b = f.b;
  LoopValues v = loop_arguments(b, outside, initial);
  TENON_RETURN_IF_ERROR(b.status());
  const Endpoint input = pop_step(b, v, 2, sequences.dtype, without_time(sequences.shape));
  const std::span<const Endpoint> all(v);
  RecurrentCell::Step made = cell.step(b, input, all.subspan(layout.first_state(), layout.states),
                                       all.subspan(layout.first_constant()));
  TENON_RETURN_IF_ERROR(b.status());
  if (layout.masked) {
    const Endpoint mask = pop_step(b, v, layout.mask(), DType::kBool,
                                   PartialShape{sequences.shape[0], sequences.shape[0], 1});
    const Endpoint before =
        options.zero_output_for_mask ? b.zeros_like(made.output) : v[layout.output()];
    made.output = b.op("SelectV2", {mask, made.output, before});
    for (size_t i = 0; i < layout.states; ++i) {
      made.states[i] = b.op("SelectV2", {mask, made.states[i], v[layout.first_state() + i]});
    }
  }
  v[0] = b.add(v[0], b.scalar<int32_t>(1));
  v[layout.output()] = made.output;
  if (layout.collects) {
    v[layout.outputs()] = b.op("TensorListPushBack", {v[layout.outputs()], made.output},
                               {{"element_dtype", b.dtype(made.output)}});
  }
  std::copy(made.states.begin(), made.states.end(),
            v.begin() + static_cast<std::ptrdiff_t>(layout.first_state()));
  return f.add("recurrent_step", std::move(v));
}

StatusOr<FunctionAttr> loop_condition(const Graph& outside, const LoopValues& initial) {
  Function f(outside.library());
  const LoopValues v = loop_arguments(f.b, outside, initial);
  TENON_RETURN_IF_ERROR(f.b.status());
  return f.add("recurrent_more", {f.b.op("Less", {v[0], v[1]})});
}

// [rows, width], with a width that shape functions know.
Endpoint with_width(GraphBuilder& g, Endpoint x, int64_t width) {
  if (!g.status().ok() || (g.shape(x).rank() == 2 && g.shape(x)[1] == width)) return x;
  return g.reshape(x, g.integers({-1, width}));
}

}  // namespace

Outputs RecurrentCell::call(Trace& trace, const Arguments&) {
  trace.build().fail(unimplemented("a cell is called by itself; RNN(cell) runs it"));
  return {};
}

Endpoint zero_state(GraphBuilder& g, Endpoint rows, int64_t width, DType dtype) {
  const Endpoint shape =
      g.op("Pack", {rows, g.scalar(static_cast<int32_t>(width))}, {{"N", int64_t{2}}});
  return with_width(g, g.op("Fill", {shape, g.scalar_of(dtype, 0)}), width);
}

RecurrentResult run_recurrent(Trace& trace, RecurrentCell& cell, const RecurrentLoop& options,
                              Endpoint sequences, Endpoint mask, std::vector<Endpoint> states) {
  GraphBuilder& g = trace.build();
  if (!g.graph().library()) g.graph().set_library(std::make_shared<FunctionLibrary>());
  const Endpoint rows = g.dim(sequences, 0);
  const DType dtype = g.dtype(sequences);
  const std::vector<Endpoint> constants = cell.constants(trace, rows, dtype);
  const Endpoint projected = cell.project(g, sequences, constants);
  const Endpoint steps = g.dim(sequences, 1);
  LoopLayout layout{static_cast<bool>(mask), options.return_sequences, states.size()};
  LoopValues initial = {g.scalar<int32_t>(0), steps,
                        list_of_steps(g, projected, options.go_backwards)};
  if (mask) {
    const Endpoint column = g.op("ExpandDims", {mask, g.scalar<int32_t>(-1)});
    initial.push_back(list_of_steps(g, column, options.go_backwards));
  }
  initial.push_back(zero_state(g, rows, cell.output_size(), dtype));
  if (!g.status().ok()) return {};
  const std::vector<int64_t> element = {g.shape(sequences)[0], cell.output_size()};
  if (layout.collects) {
    initial.push_back(g.op("EmptyTensorList", {g.integers(element), g.scalar<int32_t>(-1)},
                           {{"element_dtype", dtype}}));
  }
  initial.insert(initial.end(), states.begin(), states.end());
  initial.insert(initial.end(), constants.begin(), constants.end());
  if (!g.status().ok()) return {};
  const ValueInfo inputs = g.graph().value(projected);
  const StatusOr<FunctionAttr> body = loop_body(g.graph(), cell, options, layout, initial, inputs);
  const StatusOr<FunctionAttr> condition = loop_condition(g.graph(), initial);
  if (!body.ok() || !condition.ok()) {
    g.fail(body.ok() ? condition.status() : body.status());
    return {};
  }
  const std::vector<Endpoint> after =
      g.ops("StatelessWhile", std::move(initial), {{"cond", *condition}, {"body", *body}});
  if (after.empty()) return {};
  RecurrentResult result;
  result.output = with_width(g, after[layout.output()], cell.output_size());
  if (layout.collects) {
    const Endpoint stacked = g.op("TensorListStack", {after[layout.outputs()], g.integers(element)},
                                  {{"element_dtype", dtype}});
    if (!g.status().ok()) return {};
    result.output = swap_time(g, stacked);
    // The number of steps is known again where the input's is.
    const int64_t time = g.shape(sequences)[1];
    if (time >= 0) {
      result.output = g.reshape(result.output, g.integers({-1, time, element[1]}));
    }
  }
  const std::vector<int64_t> sizes = cell.state_sizes();
  for (size_t i = 0; i < sizes.size(); ++i) {
    result.states.push_back(with_width(g, after[layout.first_state() + i], sizes[i]));
  }
  return result;
}

std::span<const std::string_view> RecurrentLayer::parameters() const {
  static constexpr std::string_view kParameters[] = {"sequences", "initial_state", "mask"};
  return kParameters;
}

void RecurrentLayer::output_masks(Trace&, const Arguments& inputs, Outputs& outputs) const {
  if (loop_.return_sequences) outputs[0].mask = inputs.mask(0);
}

void RecurrentLayer::loop_fields(ConfigFields& f) {
  f.field("return_sequences", loop_.return_sequences);
  f.field("return_state", return_state_);
  f.field("go_backwards", loop_.go_backwards);
  f.field("stateful", stateful_);
  f.field("unroll", unroll_);
  f.field("zero_output_for_mask", loop_.zero_output_for_mask);
}

Status RecurrentLayer::add_states(const PartialShape& input, std::span<const int64_t> sizes) {
  if (!stateful_) return absl::OkStatus();
  if (input[0] < 0) {
    return invalid_argument("'stateful' needs a batch size that is known, the input has shape ",
                            input);
  }
  for (int64_t size : sizes) {
    add_weight(cat("rnn_state_", weights().size()), {input[0], size}, "zeros", WeightKind::kState);
  }
  return absl::OkStatus();
}

bool RecurrentLayer::has_each_state(GraphBuilder& build, size_t given, size_t states) {
  if (given == 0 || given == states) return true;
  build.fail(
      invalid_argument("initial_state has ", given, " tensors, the cell has ", states, " states"));
  return false;
}

std::vector<Endpoint> RecurrentLayer::first_states(Trace& trace, Endpoint x,
                                                   std::span<const Endpoint> given,
                                                   std::span<const int64_t> sizes) const {
  GraphBuilder& g = trace.build();
  const Endpoint rows = g.dim(x, 0);
  std::vector<Endpoint> states;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (!given.empty()) {
      states.push_back(g.cast(given[i], g.dtype(x)));
    } else {
      states.push_back(stateful_ ? trace.read(weight(i))
                                 : zero_state(g, rows, sizes[i], g.dtype(x)));
    }
  }
  return states;
}

void RecurrentLayer::keep_states(Trace& trace, std::span<const Endpoint> states) const {
  for (size_t i = 0; stateful_ && i < states.size(); ++i) {
    trace.assign(weight(i), trace.build().cast(states[i], weight(i).dtype));
  }
}

}  // namespace tenon::keras
