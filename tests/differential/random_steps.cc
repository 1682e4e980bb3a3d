#include "tests/differential/random_steps.h"

#include "tenon/graph/function_library.h"
#include "tests/differential/known_shapes_pb.h"

namespace tenon::differential {

uint64_t Dice::next() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Dice::uniform(double low, double high) {
  return low + (high - low) * (static_cast<double>(next() >> 11) * 0x1p-53);
}

Tensor random_floats(Dice& dice, const Shape& shape, double bound) {
  Tensor tensor(DType::kFloat, shape);
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    tensor.mutable_data<float>()[i] = static_cast<float>(dice.uniform(-bound, bound));
  }
  return tensor;
}

std::optional<ValueDims> broadcast(const ValueDims& a, const ValueDims& b) {
  const ValueDims& longer = a.size() >= b.size() ? a : b;
  const ValueDims& shorter = a.size() >= b.size() ? b : a;
  ValueDims dims = longer;
  const size_t lead = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& dim = dims[lead + i];
    if (dim == shorter[i] || shorter[i] == 1) continue;
    if (dim != 1) return std::nullopt;
    dim = shorter[i];
  }
  for (size_t i = 1; i < dims.size(); ++i) {
    if (dims[i] == kBatch) return std::nullopt;
  }
  return dims;
}

GraphMaker::GraphMaker(uint64_t seed, Known known, int64_t batch)
    : dice_(seed), known_(known), batch_(batch), build_(made_.graph) {
  made_.seed = seed;
  made_.state = std::make_shared<ModelState>();
  made_.graph.set_library(std::make_shared<FunctionLibrary>());
}

const std::vector<GraphMaker::Choice>& GraphMaker::choices() {
  static const std::vector<Choice> all = {
      {"unary", &GraphMaker::unary, 6},
      {"positive_unary", &GraphMaker::positive_unary, 2},
      {"rounding", &GraphMaker::rounding, 1},
      {"binary", &GraphMaker::binary, 10},
      {"integer_binary", &GraphMaker::integer_binary, 2},
      {"compare_and_select", &GraphMaker::compare_and_select, 3},
      {"cast", &GraphMaker::cast, 1},
      {"activation_by_parts", &GraphMaker::activation_by_parts, 3},
      {"add_many", &GraphMaker::add_many, 1},
      {"again", &GraphMaker::again, 1},
      {"dense", &GraphMaker::dense, 8},
      {"batch_product", &GraphMaker::batch_product, 3},
      {"convolution", &GraphMaker::convolution, 8},
      {"pool", &GraphMaker::pool, 3},
      {"batch_norm", &GraphMaker::batch_norm, 3},
      {"layer_norm", &GraphMaker::layer_norm, 2},
      {"softmax", &GraphMaker::softmax, 2},
      {"reduce", &GraphMaker::reduce, 3},
      {"reshape", &GraphMaker::reshape, 3},
      {"transpose", &GraphMaker::transpose, 3},
      {"expand_or_squeeze", &GraphMaker::expand_or_squeeze, 2},
      {"strided_slice", &GraphMaker::strided_slice, 3},
      {"pad", &GraphMaker::pad, 2},
      {"tile", &GraphMaker::tile, 1},
      {"concat", &GraphMaker::concat, 3},
      {"split", &GraphMaker::split, 2},
      {"gather", &GraphMaker::gather, 3},
      {"pack", &GraphMaker::pack, 1},
      {"cumulative", &GraphMaker::cumulative, 1},
      {"one_hot", &GraphMaker::one_hot, 1},
      {"arg_max", &GraphMaker::arg_max, 1},
      {"if_else", &GraphMaker::if_else, 2},
      {"while_loop", &GraphMaker::while_loop, 2},
  };
  return all;
}

Value& GraphMaker::keep(Endpoint endpoint, DType dtype, ValueDims dims, double bound, bool exact) {
  values_.push_back({endpoint, dtype, std::move(dims), bound, exact});
  return values_.back();
}

// Late values more often than early ones, so that chains come about.
Value* GraphMaker::pick(const std::function<bool(const Value&)>& suits) {
  std::vector<Value*> suiting;
  for (Value& value : values_) {
    if (suits(value)) suiting.push_back(&value);
  }
  if (suiting.empty()) return nullptr;
  const int64_t count = static_cast<int64_t>(suiting.size());
  return suiting[static_cast<size_t>(std::max(dice_.below(count), dice_.below(count)))];
}

Value* GraphMaker::pick_float(int rank) {
  return pick([&](const Value& v) {
    return v.dtype == DType::kFloat && (rank < 0 || static_cast<int>(v.dims.size()) == rank);
  });
}

Endpoint GraphMaker::use(Value& value) {
  value.used = true;
  return value.endpoint;
}

PartialShape GraphMaker::declared(const ValueDims& dims) const {
  ValueDims concrete = dims;
  const bool batched = !dims.empty() && dims[0] == kBatch;
  if (batched) concrete[0] = batch_;
  // Only a batch is left open by models that know everything else.
  const Known known = known_ == Known::kAllButBatch && !batched ? Known::kAll : known_;
  return known_part(Shape(concrete), known);
}

Value& GraphMaker::argument(DType dtype, ValueDims dims, double bound) {
  const std::string name = cat("arg_", made_.arguments.size());
  made_.arguments.push_back({name, dtype, dims, bound});
  const Endpoint endpoint = build_.arg(name, dtype, declared(dims));
  return keep(endpoint, dtype, std::move(dims), bound, true);
}

Value& GraphMaker::parameter(ValueDims dims, double bound) {
  const int64_t kind = dice_.below(10);
  if (kind == 0) return argument(DType::kFloat, std::move(dims), bound);
  Tensor value = random_floats(dice_, Shape(dims), bound);
  if (kind < 7) return keep(build_.constant(value), DType::kFloat, std::move(dims), bound, true);
  const std::string name = cat("variable_", made_.state->variables().size());
  build_.fail(made_.state->set_variable(name, value));
  if (kind < 9) made_.state->freeze(name);
  const Endpoint handle = build_.op(
      "VarHandleOp", {},
      {{"dtype", DType::kFloat}, {"shape", PartialShape(value.shape())}, {"shared_name", name}});
  return keep(build_.op("ReadVariableOp", {handle}, {{"dtype", DType::kFloat}}), DType::kFloat,
              std::move(dims), bound, true);
}

Value& GraphMaker::tamed(Value& value) {
  if (value.dtype != DType::kFloat || value.bound <= 20) return value;
  return keep(build_.op("Tanh", {use(value)}), value.dtype, value.dims, 1, false);
}

void GraphMaker::make_arguments() {
  const std::vector<int64_t> widths = {1, 2, 3, 5, 8, 16, 17, 40};
  const std::vector<int64_t> sides = {1, 3, 4, 5, 7, 8};
  const std::vector<int64_t> channels = {1, 3, 4, 8, 16, 20};
  const int64_t width = dice_.one_of(widths);
  if (dice_.chance(0.6)) argument(DType::kFloat, {kBatch, width}, 2);
  if (dice_.chance(0.5) || values_.empty()) {
    argument(DType::kFloat,
             {kBatch, dice_.one_of(sides), dice_.one_of(sides), dice_.one_of(channels)}, 2);
  }
  if (dice_.chance(0.3)) argument(DType::kFloat, {dice_.chance(0.5) ? 1 : kBatch, width}, 2);
  if (dice_.chance(0.2)) argument(DType::kFloat, {kBatch, dice_.one_of(sides), width}, 2);
  if (dice_.chance(0.2)) argument(DType::kInt32, {kBatch}, 5);
  if (dice_.chance(0.2)) argument(DType::kInt32, {kBatch, dice_.one_of(sides)}, 5);
  if (dice_.chance(0.1)) argument(DType::kFloat, {}, 2);
}

void GraphMaker::make_results() {
  std::vector<Value*> leaves;
  for (Value& value : values_) {
    if (!value.used && !made_.graph.node(value.endpoint.node).is("_Arg")) leaves.push_back(&value);
  }
  if (leaves.empty()) leaves.push_back(&values_.back());
  // A value in the midst of a chain, so that a fused op must not swallow it.
  if (dice_.chance(0.4)) {
    if (Value* const more = pick([](const Value& v) { return v.used && !v.exact; })) {
      leaves.push_back(more);
    }
  }
  for (Value* leaf : leaves) {
    made_.graph.result_names.push_back(cat("result_", made_.results.size()));
    made_.graph.results.push_back(leaf->endpoint);
    made_.results.push_back(*leaf);
  }
}

Status GraphMaker::make() {
  make_arguments();
  std::vector<const Choice*> lots;
  for (const Choice& choice : choices()) {
    for (int i = 0; i < choice.weight; ++i) lots.push_back(&choice);
  }
  const int64_t wanted = dice_.between(2, 12);
  for (int tries = 0; tries < 60 && static_cast<int64_t>(made_.steps.size()) < wanted; ++tries) {
    const Choice& choice = *dice_.one_of(lots);
    if (!(this->*choice.step)()) continue;
    made_.steps.push_back(choice.name);
    TENON_RETURN_IF_ERROR(with_context(build_.status(), choice.name));
  }
  make_results();
  return build_.status();
}

StatusOr<RandomGraph> make_random_graph(uint64_t seed, Known known, int64_t batch) {
  GraphMaker maker(seed, known, batch);
  TENON_RETURN_IF_ERROR(maker.make());
  return maker.take();
}

std::vector<Tensor> random_arguments(const RandomGraph& graph, int64_t batch) {
  std::vector<Tensor> values;
  for (const RandomArgument& argument : graph.arguments) {
    Dice dice(graph.seed + 1000003 * values.size() + 7);
    ValueDims dims = argument.dims;
    if (!dims.empty() && dims[0] == kBatch) dims[0] = batch;
    if (argument.dtype == DType::kFloat) {
      values.push_back(random_floats(dice, Shape(dims), argument.bound));
      continue;
    }
    Tensor& integers = values.emplace_back(argument.dtype, Shape(dims));
    for (int64_t i = 0; i < integers.num_elements(); ++i) {
      integers.mutable_data<int32_t>()[i] =
          static_cast<int32_t>(dice.below(static_cast<int64_t>(argument.bound)));
    }
  }
  return values;
}

}  // namespace tenon::differential
