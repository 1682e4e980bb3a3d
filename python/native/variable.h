// Variables of Python: a value that ops read and write, in one store for the whole process.
#pragma once

#include "python/native/value.h"
#include "tenon/core/variable.h"
#include "tenon/runtime/model_state.h"

namespace tenon::python {

// The store of eager ops and traced functions.
const std::shared_ptr<ModelState>& eager_state();

// Whether the store holds this variable under its name: handles of it may be made by name.
bool is_known(const Variable& variable);

// What the values of several replicas are where no replica asks.
enum class Aggregation : uint8_t { kNone, kSum, kMean, kFirst };

// What tenon.Variable is made of. It is taken out of the store, and its memory given back, when the
// Python object goes; functions that captured it keep the object.
class VariableObject {
 public:
  // Named uniquely in the store; `name` is what users see.
  VariableObject(const Tensor& initial, const PartialShape& shape, std::string name,
                 bool trainable);
  // A variable that a loaded model holds.
  VariableObject(Ref<Variable> variable, std::string name, bool trainable);
  ~VariableObject();
  VariableObject(const VariableObject&) = delete;
  VariableObject& operator=(const VariableObject&) = delete;

  DType dtype() const { return variable_->dtype(); }
  const PartialShape& shape() const { return variable_->shape(); }
  const std::string& name() const { return name_; }
  bool trainable() const { return trainable_; }
  int64_t id() const { return handle_.id; }
  Variable& variable() const { return *variable_; }

  // From now on this is the variable of replica 0 and of whoever is no replica, and `others` are
  // those of replicas 1 and up. With `on_read`, who is no replica reads all of them together.
  void set_replicas(std::vector<nb::object> others, bool on_read, Aggregation together);

  // The variable of the replica that this thread is at. What follows is about that one.
  const VariableObject& here() const;

  // The handle, eagerly or in the function that is being traced.
  Value handle() const;
  const Value& eager_handle() const { return handle_; }

  // What is read now: tapes that watch trainable variables record it.
  Value read() const;

  // Op is AssignVariableOp, AssignAddVariableOp or AssignSubVariableOp.
  void assign(std::string_view op, const Value& value) const;

 private:
  Value read_together() const;
  Tensor read_where_it_is() const;

  Ref<Variable> variable_;
  std::string name_;
  bool trainable_;
  bool owned_ = false;  // by this object, in the store
  Value handle_;
  std::vector<nb::object> others_;
  bool on_read_ = false;
  Aggregation together_ = Aggregation::kNone;
};

// Null when `object` is something else.
const VariableObject* variable_if(nb::handle object);

void register_variable(nb::module_& m);

}  // namespace tenon::python
