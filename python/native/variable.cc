#include "python/native/variable.h"

#include "python/native/attributes.h"
#include "python/native/convert.h"
#include "python/native/devices.h"
#include "python/native/dtypes.h"
#include "python/native/operation.h"
#include "python/native/tape.h"
#include "python/native/trace.h"

namespace tenon::python {
namespace {

std::string unique_variable_name(std::string_view name) {
  static std::atomic<uint64_t> made{0};
  return cat(name, "_", made.fetch_add(1, std::memory_order_relaxed));
}

Ref<Variable> add_to_store(const Tensor& initial, const PartialShape& shape,
                           std::string_view name) {
  const std::string unique = unique_variable_name(name);
  const Ref<Object> object =
      value_of(eager_state()->find_or_create("", unique, [&]() -> StatusOr<Ref<Object>> {
        return make_ref<Variable>(unique, initial.dtype(), shape);
      }));
  const Ref<Variable> variable(static_cast<Variable*>(object.get()));
  check(variable->assign(initial));
  return variable;
}

// Where this thread is: at a replica, or at none (-1). `context` tells strategies and replicas
// apart; what is traced in one is not run in another.
struct Place {
  int replica = -1;
  int64_t context = 0;
};

// While it lives, no tape records.
struct Unrecorded {
  Unrecorded() : tapes(std::exchange(Tape::active(), {})) {}
  ~Unrecorded() { Tape::active() = std::move(tapes); }
  Unrecorded(const Unrecorded&) = delete;
  Unrecorded& operator=(const Unrecorded&) = delete;
  std::vector<std::shared_ptr<Tape>> tapes;
};

Place& place() {
  thread_local Place here;
  return here;
}

}  // namespace

const std::shared_ptr<ModelState>& eager_state() {
  static const auto* state = new std::shared_ptr<ModelState>(std::make_shared<ModelState>());
  return *state;
}

bool is_known(const Variable& variable) {
  return eager_state()->variable(variable.name()).get() == &variable;
}

VariableObject::VariableObject(const Tensor& initial, const PartialShape& shape, std::string name,
                               bool trainable)
    : variable_(add_to_store(initial, shape, name)),
      name_(std::move(name)),
      trainable_(trainable),
      owned_(true),
      handle_(Tensor::object(DType::kResource, variable_)) {
  Device* device = placed_device();
  if (device && !device->host_accessible() && !is_object(variable_->dtype())) {
    const auto stream = value_of(device->create_stream());
    check(variable_->read_in_place(*stream).status());
    check(stream->synchronize());
  }
}

VariableObject::VariableObject(Ref<Variable> variable, std::string name, bool trainable)
    : variable_(std::move(variable)),
      name_(std::move(name)),
      trainable_(trainable),
      handle_(Tensor::object(DType::kResource, variable_)) {}

VariableObject::~VariableObject() {
  if (!owned_) return;
  // Ops that are kept ready hold the variable itself, not its memory.
  (void)eager_state()->remove("", variable_->name());
  variable_->clear();
}

void VariableObject::set_replicas(std::vector<nb::object> others, bool on_read,
                                  Aggregation together) {
  others_ = std::move(others);
  on_read_ = on_read;
  together_ = together;
}

const VariableObject& VariableObject::here() const {
  const int replica = others_.empty() ? 0 : place().replica;
  if (replica <= 0 || static_cast<size_t>(replica) > others_.size()) return *this;
  return nb::cast<const VariableObject&>(others_[static_cast<size_t>(replica) - 1]);
}

Value VariableObject::handle() const {
  const VariableObject& at = here();
  if (Trace* trace = Trace::current()) return trace->handle_of(at);
  return at.handle_;
}

Value VariableObject::read_together() const {
  if (together_ == Aggregation::kNone) {
    raise(PyExc_ValueError, "variable '", name_,
          "' has synchronization=ON_READ and no aggregation: it has a value in a replica only");
  }
  const auto read_alone = [](const VariableObject& variable) {
    if (Trace* trace = Trace::current()) return trace->read(variable);
    return Value(value_of(variable.variable_->read()));
  };
  std::vector<Value> values = {read_alone(*this)};
  if (together_ == Aggregation::kFirst) return values[0];
  for (const nb::object& other : others_) {
    values.push_back(read_alone(nb::cast<const VariableObject&>(other)));
  }
  Value sum = run_op("AddN", values)[0];
  if (together_ == Aggregation::kSum) return sum;
  const Value count[] = {Value(Tensor::scalar(static_cast<int64_t>(values.size())))};
  const Value divided[] = {sum, run_op("Cast", count, {{"DstT", dtype()}})[0]};
  return run_op("RealDiv", divided)[0];
}

// On the device that has the value, unless this thread's ops are placed on the processor.
Tensor VariableObject::read_where_it_is() const {
  Device* device = variable_->device();
  if (!device || placed_device() == cpu_device()) return value_of(variable_->read());
  const Value inputs[] = {handle_};
  const Untraced untraced;
  const Unrecorded unrecorded;
  return run_op("ReadVariableOp", inputs, {{"dtype", dtype()}})[0].tensor;
}

Value VariableObject::read() const {
  if (on_read_ && place().replica < 0) return read_together();
  const VariableObject& at = here();
  if (&at != this) return at.read();
  if (trainable_) Tape::touch(*this);
  if (Trace* trace = Trace::current()) return trace->read(*this);
  Value value(read_where_it_is());
  Tape::record_read(handle_, value);
  return value;
}

void VariableObject::assign(std::string_view op, const Value& value) const {
  const VariableObject& at = here();
  if (&at != this) return at.assign(op, value);
  if (Trace* trace = Trace::current()) {
    const Value inputs[] = {trace->handle_of(*this), value};
    (void)run_op(op, inputs);
    return;
  }
  if (op == "AssignVariableOp") return check(variable_->assign(eager(value, "a variable's value")));
  const Value inputs[] = {handle_, value};
  (void)run_op(op, inputs);
}

const VariableObject* variable_if(nb::handle object) {
  VariableObject* variable = nullptr;
  return nb::try_cast<VariableObject*>(object, variable) ? variable : nullptr;
}

void register_variable(nb::module_& m) {
  nb::class_<VariableObject>(m, "VariableBase", nb::dynamic_attr(), nb::is_weak_referenceable())
      .def(
          "__init__",
          [](VariableObject* self, nb::handle initial, nb::handle shape, std::string name,
             bool trainable) {
            const Value value = to_value(initial);
            const Tensor& tensor = eager(value, "a variable's initial value");
            new (self) VariableObject(
                tensor, shape.is_none() ? PartialShape(tensor.shape()) : shape_from(shape),
                std::move(name), trainable);
          },
          nb::arg("initial"), nb::arg("shape").none(), nb::arg("name"), nb::arg("trainable"))
      .def_prop_ro("dtype", [](const VariableObject& v) { return dtype_object(v.dtype()); })
      .def_prop_ro("shape", [](const VariableObject& v) { return shape_object(v.shape()); })
      .def_prop_ro("trainable", [](const VariableObject& v) { return v.trainable(); })
      .def_prop_ro("handle", [](const VariableObject& v) { return wrap(v.handle()); })
      .def_prop_ro("_id", [](const VariableObject& v) { return v.id(); })
      .def_prop_ro("_shared_name", [](const VariableObject& v) { return v.variable().name(); })
      .def_prop_ro("_name", [](const VariableObject& v) { return v.name(); })
      .def_prop_ro(
          "device",
          [](const VariableObject& v) { return full_name_of(v.here().variable().device()); })
      .def("is_initialized", [](const VariableObject& v) { return v.variable().initialized(); })
      .def("read_value", [](const VariableObject& v) { return wrap(v.read()); })
      .def("_assign",
           [](const VariableObject& v, const std::string& op, nb::handle value) {
             v.assign(op, to_value(value, {v.dtype(), false}));
           })
      .def("_set_replicas", [](VariableObject& v, nb::sequence others, bool on_read, int together) {
        std::vector<nb::object> objects;
        for (nb::handle each : others) objects.push_back(nb::borrow(each));
        v.set_replicas(std::move(objects), on_read, static_cast<Aggregation>(together));
      });
  m.def(
      "enter_replica",
      [](int replica, int64_t context) {
        const Place before = std::exchange(place(), Place{replica, context});
        return nb::make_tuple(before.replica, before.context);
      },
      "This thread is at a replica from now on, -1 for none. Returns where it was.");
  m.def("replica", [] { return place().replica; });
  m.def("replica_context", [] { return place().context; });
}

}  // namespace tenon::python
