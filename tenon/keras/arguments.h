// What a layer is called with: tensors and plain values by the names of Keras' parameters.
#pragma once

#include "tenon/graph/builder.h"
#include "tenon/keras/json.h"

namespace tenon::keras {

// A tensor of a graph and, where Keras carries one, its mask: a bool for each row and step.
struct Value {
  Value() = default;
  Value(Endpoint of) : tensor(of) {}  // NOLINT: implicit
  Value(Endpoint of, Endpoint by) : tensor(of), mask(by) {}
  Endpoint tensor, mask;
};

// The arguments of one call. The first one is what most layers work on.
template <class T>
class ArgumentsOf {
 public:
  struct Argument {
    std::string name;        // Keras' parameter: "inputs", "initial_state"
    std::vector<T> tensors;  // empty where the argument is a plain value
    Json value;
  };

  ArgumentsOf() = default;
  explicit ArgumentsOf(std::vector<Argument> arguments) : arguments_(std::move(arguments)) {}
  // One argument of the name "inputs".
  explicit ArgumentsOf(std::vector<T> tensors) { add("inputs", std::move(tensors)); }

  void add(std::string_view name, std::vector<T> tensors, Json value = {}) {
    arguments_.push_back({std::string(name), std::move(tensors), std::move(value)});
  }
  std::span<Argument> all() { return arguments_; }
  std::span<const Argument> all() const { return arguments_; }

  // The tensors of the first argument.
  std::span<const T> first() const {
    return arguments_.empty() ? std::span<const T>() : std::span<const T>(arguments_[0].tensors);
  }
  size_t size() const { return first().size(); }
  bool empty() const { return first().empty(); }
  const T& operator[](size_t index) const { return first()[index]; }

  // The tensors of an argument; none where it was not given.
  std::span<const T> of(std::string_view name) const {
    const Argument* found = find(name);
    return found ? std::span<const T>(found->tensors) : std::span<const T>();
  }
  // The plain value of an argument; null where it was not given.
  const Json& value(std::string_view name) const {
    static const Json none;
    const Argument* found = find(name);
    return found ? found->value : none;
  }
  bool flag(std::string_view name) const { return value(name) == Json(true); }

 private:
  const Argument* find(std::string_view name) const {
    for (const Argument& argument : arguments_) {
      if (argument.name == name) return &argument;
    }
    return nullptr;
  }
  std::vector<Argument> arguments_;
};

using Shapes = ArgumentsOf<PartialShape>;

// The arguments of a call while a graph is built. inputs[0] is a tensor; its mask, if it has one,
// is that of the argument "mask" or the one that it carries.
class Arguments : public ArgumentsOf<Value> {
 public:
  using ArgumentsOf::ArgumentsOf;
  Endpoint operator[](size_t index) const { return first()[index].tensor; }
  Endpoint mask(size_t index) const { return index < size() ? first()[index].mask : Endpoint(); }
  // The one tensor of an argument; invalid where it was not given.
  Value one(std::string_view name) const {
    const std::span<const Value> found = of(name);
    return found.empty() ? Value() : found[0];
  }
};

// What a call gives: most layers one tensor. A mask that the layer sets here is kept; where it sets
// none, Layer::output_masks decides.
struct Outputs : std::vector<Value> {
  Outputs() = default;
  Outputs(Endpoint one) : std::vector<Value>{Value(one)} {}  // NOLINT: implicit
  Outputs(Value one) : std::vector<Value>{one} {}            // NOLINT: implicit
};

}  // namespace tenon::keras
