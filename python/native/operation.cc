#include "python/native/operation.h"

#include <list>
#include <unordered_map>

#include "python/native/attributes.h"
#include "python/native/devices.h"
#include "python/native/graph_function.h"
#include "python/native/tape.h"
#include "python/native/trace.h"
#include "python/native/variable.h"
#include "tenon/graph/builder.h"

namespace tenon::python {
namespace {

// Small host inputs (axes, shapes, paddings) of at most so many bytes are constants of the op.
constexpr size_t kMostConstantBytes = 512;

struct CachedOp {
  std::string key;
  std::shared_ptr<GraphFunction> function;
};

// The ops that were run, the last used first.
class OpCache {
 public:
  std::shared_ptr<GraphFunction> find(std::string_view key) {
    const auto it = by_key_.find(key);
    if (it == by_key_.end()) return nullptr;
    if (it->second != ops_.begin()) ops_.splice(ops_.begin(), ops_, it->second);
    return it->second->function;
  }
  void insert(std::string key, std::shared_ptr<GraphFunction> function) {
    ops_.push_front({std::move(key), std::move(function)});
    by_key_[ops_.front().key] = ops_.begin();
    if (ops_.size() <= kMostCachedOps) return;
    by_key_.erase(ops_.back().key);
    ops_.pop_back();
  }
  size_t size() const { return ops_.size(); }
  void clear() {
    by_key_.clear();
    ops_.clear();
  }

 private:
  std::list<CachedOp> ops_;
  std::unordered_map<std::string_view, std::list<CachedOp>::iterator> by_key_;
};

OpCache& op_cache() {
  static auto* cache = new OpCache;  // it outlives the interpreter's last tensors
  return *cache;
}

// Streams of random numbers live in a store of their own, by seeds: those of equal seeds go on
// where the last draw ended. A new one begins after so many ops, so that it does not grow for ever.
constexpr int kMostStreams = 1 << 14;

struct RandomStore {
  std::shared_ptr<ModelState> state = std::make_shared<ModelState>();
  int ops = 0;
};

RandomStore& random_store() {
  static auto* store = new RandomStore;
  return *store;
}

const std::shared_ptr<ModelState>& state_for(const OpDef& op) {
  if (op.decl().effect != Effect::kRandom) return eager_state();
  RandomStore& store = random_store();
  if (++store.ops > kMostStreams) store = RandomStore{std::make_shared<ModelState>(), 1};
  return store.state;
}

bool is_constant_input(const OpDef& op, size_t index, size_t count, const Tensor& tensor) {
  return op.decl().host_inputs.contains(static_cast<int>(index), count) &&
         !is_object(tensor.dtype()) && tensor.num_bytes() <= kMostConstantBytes;
}

// The variable behind a handle; null for everything else.
const Variable* variable_of(const Tensor& tensor) {
  return tensor.dtype() == DType::kResource ? tensor.object_as<Variable>() : nullptr;
}

// TensorFlow's words for an input of the wrong dtype; other messages are the engine's own.
void check_dtypes(const OpDef& op, std::span<const Value> inputs, const AttrMap& attrs) {
  const std::vector<DType> expected = op.input_dtypes(attrs);
  if (expected.size() != inputs.size()) {
    check(invalid_argument("op ", op.name(), " takes ", expected.size(), " tensors, ",
                           inputs.size(), " were given"));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DType found = inputs[i].dtype();
    if (found == expected[i]) continue;
    check(invalid_argument("cannot compute ", op.name(), " as input #", i,
                           "(zero-based) was expected to be a ", expected[i], " tensor but is a ",
                           found, " tensor"));
  }
}

AttrMap completed(const OpDef& op, std::span<const Value> inputs, AttrMap attrs) {
  std::vector<DType> dtypes;
  for (const Value& input : inputs) dtypes.push_back(input.dtype());
  infer_type_attrs(op, dtypes, attrs);
  check(op.complete_attrs(attrs));
  check_dtypes(op, inputs, attrs);
  return attrs;
}

std::shared_ptr<GraphFunction> make_function(const OpDef& op, std::span<const Value> inputs,
                                             AttrMap attrs) {
  attrs = completed(op, inputs, std::move(attrs));
  Graph graph;
  GraphBuilder builder(graph);
  std::vector<Endpoint> ends;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& tensor = inputs[i].tensor;
    if (is_constant_input(op, i, inputs.size(), tensor)) {
      ends.push_back(builder.constant(tensor));
    } else if (const Variable* variable = variable_of(tensor); variable && is_known(*variable)) {
      ends.push_back(builder.op("VarHandleOp", {},
                                {{"dtype", variable->dtype()},
                                 {"shape", variable->shape()},
                                 {"shared_name", variable->name()}}));
    } else {
      ends.push_back(builder.arg(cat("input", i), tensor.dtype(), tensor.shape()));
    }
  }
  check(builder.status());
  const NodeId node = value_of(graph.add(op.name(), "", ends, std::move(attrs)));
  for (size_t i = 0; i < graph.node(node).outputs.size(); ++i) {
    graph.results.push_back({node, static_cast<int32_t>(i)});
    graph.result_names.push_back(cat("output", i));
  }
  graph.control_results.push_back(node);
  return std::make_shared<GraphFunction>(std::move(graph), std::move(ends), state_for(op),
                                         Runs::kWithArguments, all_files());
}

std::string_view key_of(const OpDef& op, std::span<const Value> inputs, const AttrMap& attrs,
                        std::string& key) {
  key.clear();
  const void* const place = &op;
  key.append(reinterpret_cast<const char*>(&place), sizeof place);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& tensor = inputs[i].tensor;
    if (is_constant_input(op, i, inputs.size(), tensor)) {
      append_key(key, tensor);
      continue;
    }
    key.push_back(static_cast<char>(tensor.dtype()));
    key.push_back(static_cast<char>(tensor.rank()));
    const std::span<const int64_t> dims = tensor.shape().dims();
    key.append(reinterpret_cast<const char*>(dims.data()), dims.size_bytes());
    if (const Variable* variable = variable_of(tensor)) {
      key.append(reinterpret_cast<const char*>(&variable), sizeof variable);
      key.append(variable->name());
    }
  }
  if (!attrs.empty()) append_key(key, attrs);
  return key;
}

std::shared_ptr<GraphFunction> function_of(const OpDef& op, std::span<const Value> inputs,
                                           const AttrMap& attrs) {
  static auto* key = new std::string;  // under the interpreter's lock
  if (std::shared_ptr<GraphFunction> found = op_cache().find(key_of(op, inputs, attrs, *key))) {
    return found;
  }
  std::shared_ptr<GraphFunction> made = make_function(op, inputs, attrs);
  key_of(op, inputs, attrs, *key);
  op_cache().insert(*key, made);
  return made;
}

// Axes, shapes and their like in host memory, where the op looks at them.
std::vector<Value> with_host_inputs(const OpDef& op, std::span<const Value> inputs) {
  std::vector<Value> here(inputs.begin(), inputs.end());
  for (size_t i = 0; i < here.size(); ++i) {
    if (op.decl().host_inputs.contains(static_cast<int>(i), here.size())) {
      here[i].tensor = on_host(here[i].tensor);
    }
  }
  return here;
}

std::vector<Value> run_eagerly(const OpDef& op, std::span<const Value> inputs,
                               const AttrMap& attrs) {
  bool on_devices = false;
  for (const Value& input : inputs) {
    if (!input.symbolic()) continue;
    raise(PyExc_TypeError,
          "a tensor of a traced function is out of scope and cannot be used here, by ", op.name(),
          ": it has a value in that function alone. Use return values.");
    on_devices |= device_of(input.tensor) != nullptr;
  }
  if (op.name() == "Const") {
    const Tensor* value = attrs.get_if<Tensor>("value");
    if (!value) check(invalid_argument("attribute 'value' of op Const is missing"));
    return {Value(*value)};
  }
  if (!on_devices) return call(*function_of(op, inputs, attrs), inputs);
  const std::vector<Value> here = with_host_inputs(op, inputs);
  return call(*function_of(op, here, attrs), here);
}

}  // namespace

const OpDef& find_op(std::string_view name) {
  const OpDef* op = OpRegistry::global().find(name);
  if (!op) throw StatusError(unimplemented("op ", name, " is not implemented"));
  return *op;
}

size_t cached_ops() { return op_cache().size(); }
void forget_ops() {
  op_cache().clear();
  random_store() = RandomStore{};
}

std::vector<Value> run_op(std::string_view op, std::span<const Value> inputs, AttrMap attrs,
                          std::string_view name) {
  return run_op(find_op(op), inputs, std::move(attrs), name);
}

std::vector<Value> run_op(const OpDef& op, std::span<const Value> inputs, AttrMap attrs,
                          std::string_view name) {
  try {
    if (Trace* trace = Trace::current()) {
      return trace->add(op, inputs, completed(op, inputs, std::move(attrs)), name);
    }
    return run_eagerly(op, inputs, attrs);
  } catch (const StatusError& error) {
    const Status& status = error.status();
    if (message_of(status).find("[Op:") != std::string_view::npos) throw;
    throw StatusError(
        make_status(status.code(), cat(message_of(status), " [Op:", op.name(), "] name: ", name)));
  }
}

std::vector<Value> call(GraphFunction& function, std::span<const Value> inputs) {
  if (inputs.size() != function.inputs().size()) {
    check(invalid_argument("the function takes ", function.inputs().size(), " inputs, ",
                           inputs.size(), " were given"));
  }
  if (Trace* trace = Trace::current()) return trace->inline_function(function, inputs);
  const bool watched = Tape::any_watches(inputs);
  GraphFunction& runs = watched ? function.saving() : function;
  std::vector<Tensor> results;
  runs.run(inputs, results);
  std::vector<Value> outputs;
  outputs.reserve(results.size());
  for (Tensor& result : results) outputs.emplace_back(std::move(result));
  if (watched) Tape::record(function, inputs, outputs);
  outputs.resize(function.num_outputs());
  return outputs;
}

}  // namespace tenon::python
