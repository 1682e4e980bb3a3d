// Tape: what was computed from watched values, so that gradients can be taken of it.
//
// Eager calls are recorded as GraphFunctions with the values that they met, nodes of a trace as
// nodes. A gradient goes back over the records, the last first; what it computes is computed by the
// same calls, so that an outer tape records it in turn.
#pragma once

#include <functional>
#include <unordered_set>

#include "python/native/graph_function.h"

namespace tenon::python {

class VariableObject;

class Tape : public std::enable_shared_from_this<Tape> {
 public:
  Tape(bool persistent, bool watch_variables)
      : persistent_(persistent), watch_variables_(watch_variables) {}

  // Those that record what this thread does, the innermost last.
  static std::vector<std::shared_ptr<Tape>>& active();
  static bool any_watches(std::span<const Value> inputs);

  // `outputs` are those of function.saving().
  static void record(GraphFunction& function, std::span<const Value> inputs,
                     std::span<const Value> outputs);
  static void record_node(Trace& trace, NodeId node, std::span<const Value> inputs,
                          std::span<const Value> outputs);
  static void record_read(const Value& handle, const Value& value);
  // `backward` takes the outputs' gradients and returns the inputs'.
  static void record_custom(nb::object backward, std::span<const Value> inputs,
                            std::span<const Value> outputs);
  // A trainable variable is used.
  static void touch(const VariableObject& variable);

  static std::shared_ptr<Trace> trace_of(std::span<const Value> targets);

  void watch(int64_t id) { watched_.insert(id); }
  bool watches(int64_t id) const { return watched_.contains(id); }
  bool persistent() const { return persistent_; }
  void reset();

  // A gradient on its way: whole, or, as that of a gather is, rows and their places along the first
  // dimension, of which whole_of() makes the sums.
  struct Part {
    std::optional<Value> whole = {};
    std::optional<Value> rows = {}, places = {};
    std::function<Value()> sum = {};
  };

  // By source: none where nothing flows. `gradients` of the targets, without value: ones.
  std::vector<std::optional<Part>> gradient(std::span<const Value> targets,
                                            std::span<const std::optional<Value>> gradients,
                                            std::span<const int64_t> sources) const;
  // Records what the trace has done already.
  void record_all(Trace& trace);

 private:
  struct Record {
    std::shared_ptr<GraphFunction> function = nullptr;  // of an eager call
    std::shared_ptr<Trace> trace = nullptr;             // of a node
    NodeId node = -1;
    nb::object custom{};  // of a function with a gradient of its own
    std::vector<Value> inputs, outputs;

    bool is_read() const;  // of a variable
  };
  void add(const Record& record);
  static void add_to_active(const Record& record);
  static std::vector<std::optional<Value>> backward_of(const Record& record,
                                                       const std::vector<std::optional<Value>>& dys,
                                                       const std::vector<bool>& wanted);
  static std::vector<std::optional<Value>> backward_of_call(
      const Record& record, const std::vector<std::optional<Value>>& dys,
      const std::vector<bool>& wanted);
  static std::vector<std::optional<Value>> backward_of_node(
      const Record& record, const std::vector<std::optional<Value>>& dys);
  static std::vector<std::optional<Value>> backward_of_custom(
      const Record& record, const std::vector<std::optional<Value>>& dys);
  static std::optional<Part> rows_of_gather(const Record& record, const std::optional<Value>& dy,
                                            const std::vector<bool>& wanted);
  static void renew(Trace& trace, NodeId node);

  const bool persistent_, watch_variables_;
  std::unordered_set<int64_t> watched_;
  std::vector<Record> records_;
  std::vector<nb::object> variables_;
  std::unordered_set<int64_t> touched_;

  friend void register_tape(nb::module_& m);
};

void register_tape(nb::module_& m);

}  // namespace tenon::python
