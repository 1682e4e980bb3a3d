// The steps of which make_random_graph() composes a graph. Private to it.
#pragma once

#include <deque>

#include "tests/differential/random_graph.h"

namespace tenon::differential {

class GraphMaker {
 public:
  GraphMaker(uint64_t seed, Known known, int64_t batch);

  // Appends arguments, steps and results.
  Status make();
  RandomGraph take() { return std::move(made_); }

 private:
  // A step does nothing and says false where no value suits it.
  using Step = bool (GraphMaker::*)();
  struct Choice {
    const char* name;
    Step step;
    int weight;
  };
  static const std::vector<Choice>& choices();

  // random_steps.cc: values.
  Value& keep(Endpoint endpoint, DType dtype, ValueDims dims, double bound, bool exact);
  Value* pick(const std::function<bool(const Value&)>& suits);
  Value* pick_float(int rank);
  // Its endpoint, for an op that reads it.
  Endpoint use(Value& value);
  Value& argument(DType dtype, ValueDims dims, double bound);
  // What a layer owns: a constant, a variable (frozen or not), now and then an argument.
  Value& parameter(ValueDims dims, double bound);
  // A float whose elements are at most 1 where `value` has grown large, else itself.
  Value& tamed(Value& value);
  PartialShape declared(const ValueDims& dims) const;
  void make_arguments();
  void make_results();

  // random_elementwise.cc
  bool unary();
  bool positive_unary();
  bool rounding();
  bool binary();
  bool integer_binary();
  bool compare_and_select();
  bool cast();
  bool activation_by_parts();
  bool add_many();
  bool again();
  Value& partner(const Value& value);
  Value* operate(const char* op, Value& a, Value& b, double bound);

  // random_layers.cc
  bool dense();
  bool batch_product();
  bool convolution();
  bool pool();
  bool batch_norm();
  bool layer_norm();
  bool softmax();
  bool reduce();
  Value& finish_layer(Value& sums, int64_t channels);

  // random_movement.cc
  bool reshape();
  bool transpose();
  bool expand_or_squeeze();
  bool strided_slice();
  bool pad();
  bool tile();
  bool concat();
  bool split();
  bool gather();
  bool pack();
  bool cumulative();
  bool one_hot();
  bool arg_max();
  Value& moved(Endpoint endpoint, const Value& from, ValueDims dims);

  // random_control.cc
  bool if_else();
  bool while_loop();

  Dice dice_;
  const Known known_;
  const int64_t batch_;
  RandomGraph made_;
  GraphBuilder build_;
  std::deque<Value> values_;  // addresses stay
};

// The shape of `a` and `b` broadcast; nullopt where they don't fit or the batch would not stay in
// dimension 0.
std::optional<ValueDims> broadcast(const ValueDims& a, const ValueDims& b);

}  // namespace tenon::differential
