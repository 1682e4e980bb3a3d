#include "python/native/raw_ops.h"

#include <structmember.h>

#include "python/native/attributes.h"
#include "python/native/convert.h"
#include "python/native/dtypes.h"
#include "python/native/operation.h"
#include "python/native/slots.h"
#include "python/native/variable.h"

namespace tenon::python {
namespace {

// What a keyword of an op's function means.
struct Keyword {
  PyObject* name = nullptr;  // interned
  const ArgDef* input = nullptr;
  const AttrDef* attr = nullptr;  // both null: the node's name
};

// The Python object of an op. Called by CPython's vector calls, which make no tuple and no dict.
struct RawOp {
  PyObject_HEAD vectorcallfunc vectorcall;
  const OpDef* op;
  std::vector<Keyword>* keywords;  // inputs, attributes, name
  PyObject* result_type;           // a named tuple, or null
};

// tf.raw_ops names some arguments otherwise than the op's declaration does.
struct Renamed {
  std::string_view op, declared, keyword;  // op empty: of every op
};
constexpr Renamed kRenamed[] = {{"ReduceJoin", "reduction_indices", "reduction_indices"},
                                {"", "reduction_indices", "axis"},
                                {"ExpandDims", "dim", "axis"},
                                {"Select", "e", "y"},
                                {"Select", "t", "x"},
                                {"Split", "split_dim", "axis"},
                                {"SplitV", "split_dim", "axis"},
                                {"Squeeze", "squeeze_dims", "axis"},
                                {"Where", "input", "condition"}};

PyObject* keyword_name(const OpDef& op, std::string_view declared) {
  for (const Renamed& each : kRenamed) {
    if ((each.op.empty() || each.op == op.name()) && each.declared == declared) {
      return PyUnicode_InternFromString(std::string(each.keyword).c_str());
    }
  }
  return PyUnicode_InternFromString(std::string(declared).c_str());
}

bool is_list(const ArgDef& arg) { return !arg.number_attr.empty() || !arg.type_list_attr.empty(); }

// Types that a caller has to name are those that no input tells.
bool follows_from_inputs(const OpDef& op, const AttrDef& attr) {
  for (const ArgDef& arg : op.inputs()) {
    if (attr.name == arg.type_attr || attr.name == arg.number_attr ||
        attr.name == arg.type_list_attr) {
      return true;
    }
  }
  return false;
}

// "MatMul" -> "mat_mul", as TensorFlow's messages name the function.
std::string function_name(const OpDef& op) {
  std::string name;
  for (size_t i = 0; i < op.name().size(); ++i) {
    const char c = op.name()[i];
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && i > 0 && !(op.name()[i - 1] >= 'A' && op.name()[i - 1] <= 'Z')) name += '_';
    name += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return name;
}

[[noreturn]] void unexpected(const RawOp& self, nb::handle name) {
  raise(PyExc_TypeError, function_name(*self.op), "() got an unexpected keyword argument '",
        std::string_view(nb::str(name).c_str()), "'");
}

const Keyword& find_keyword(const RawOp& self, PyObject* name, size_t& at) {
  for (at = 0; at < self.keywords->size(); ++at) {
    if ((*self.keywords)[at].name == name) return (*self.keywords)[at];
  }
  for (at = 0; at < self.keywords->size(); ++at) {
    if (PyUnicode_Compare((*self.keywords)[at].name, name) == 0) return (*self.keywords)[at];
  }
  unexpected(self, name);
}

// Inputs and attributes of one call.
class RawCall {
 public:
  RawCall(const RawOp& self, PyObject* const* args, PyObject* names) : self_(self) {
    given_.resize(self.keywords->size());
    const Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; ++i) {
      size_t at = 0;
      (void)find_keyword(self, PyTuple_GET_ITEM(names, i), at);
      given_[at] = args[i];
    }
  }

  std::vector<Value> run() {
    add_attributes();
    add_inputs();
    const std::vector<ArgDef>& outputs = self_.op->outputs();
    if (outputs.size() > 1) {
      for (const ArgDef& output : outputs) sizes_.push_back(size_of(output));
    }
    return run_op(*self_.op, inputs_, std::move(attrs_), name_);
  }

  // How many tensors each output is; nullopt for a list of which the attributes do not tell it.
  const std::vector<std::optional<size_t>>& sizes() const { return sizes_; }

 private:
  std::optional<size_t> size_of(const ArgDef& output) const {
    if (!is_list(output)) return 1;
    const std::string& attr =
        output.number_attr.empty() ? output.type_list_attr : output.number_attr;
    const AttrValue* value = attrs_.find(attr);
    const AttrDef* declared = self_.op->find_attr(attr);
    if (!value && declared && declared->default_value) value = &*declared->default_value;
    if (!value) return std::nullopt;
    if (const int64_t* number = std::get_if<int64_t>(value)) {
      return static_cast<size_t>(std::max<int64_t>(*number, 0));
    }
    if (const auto* types = std::get_if<std::vector<DType>>(value)) return types->size();
    return std::nullopt;
  }

  void add_attributes() {
    const OpDef& op = *self_.op;
    for (size_t i = 0; i < given_.size(); ++i) {
      const Keyword& keyword = (*self_.keywords)[i];
      if (keyword.input) continue;
      PyObject* object = given_[i];
      if (!keyword.attr) {
        if (object && object != Py_None) name_ = nb::cast<std::string>(nb::handle(object));
      } else if (object && object != Py_None) {
        attrs_.set(keyword.attr->name, attr_from(op, *keyword.attr, object));
      } else if (!keyword.attr->default_value && !follows_from_inputs(op, *keyword.attr)) {
        missing(keyword.attr->name);
      }
    }
  }

  // Tensors tell their type attributes first; numbers then take what others have told.
  void add_inputs() {
    const OpDef& op = *self_.op;
    for (size_t i = 0; i < op.inputs().size(); ++i) {
      if (!given_[i]) missing(nb::str(nb::handle((*self_.keywords)[i].name)).c_str());
      note_type(op.inputs()[i], given_[i]);
    }
    for (size_t i = 0; i < op.inputs().size(); ++i) add_input(op.inputs()[i], given_[i]);
  }

  void note_type(const ArgDef& arg, PyObject* object) {
    if (arg.type_attr.empty() || attrs_.find(arg.type_attr)) return;
    nb::object items = nb::borrow(object);
    if (!is_list(arg)) return note(arg.type_attr, object);
    if (!PyList_Check(object) && !PyTuple_Check(object)) return;
    for (nb::handle item : items) note(arg.type_attr, item);
  }
  void note(const std::string& attr, nb::handle object) {
    if (attrs_.find(attr)) return;
    if (const Value* value = value_if(object)) attrs_.set(attr, value->dtype());
    if (const VariableObject* variable = variable_if(object)) attrs_.set(attr, variable->dtype());
  }

  void add_input(const ArgDef& arg, PyObject* object) {
    if (!is_list(arg)) return add_tensor(arg, object);
    if (!PyList_Check(object) && !PyTuple_Check(object)) {
      raise(PyExc_TypeError, "Expected list for '", arg.name, "' argument to '",
            function_name(*self_.op), "' Op, not ", std::string_view(nb::repr(object).c_str()),
            ".");
    }
    const size_t before = inputs_.size();
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(object);
    for (Py_ssize_t i = 0; i < size; ++i) add_tensor(arg, PySequence_Fast_ITEMS(object)[i]);
    if (!arg.number_attr.empty()) attrs_.set(arg.number_attr, int64_t{size});
    if (!arg.type_list_attr.empty()) {
      std::vector<DType> dtypes;
      for (size_t i = before; i < inputs_.size(); ++i) dtypes.push_back(inputs_[i].dtype());
      attrs_.set(arg.type_list_attr, std::move(dtypes));
    }
  }

  void add_tensor(const ArgDef& arg, PyObject* object) {
    const VariableObject* variable = variable_if(object);
    if (arg.dtype == DType::kResource && variable) {
      inputs_.push_back(variable->handle());
      return;
    }
    Wanted wanted{arg.dtype, false};
    if (!arg.type_attr.empty()) {
      const DType* known = attrs_.get_if<DType>(arg.type_attr);
      const AttrDef* attr = self_.op->find_attr(arg.type_attr);
      if (known) wanted.dtype = *known;
      // The declaration's default is what numbers become (indices are int32).
      if (!known && attr->default_value && std::holds_alternative<DType>(*attr->default_value)) {
        wanted = {std::get<DType>(*attr->default_value), true};
      }
    }
    const Value* given = value_if(object);
    // A tensor of the wrong dtype is the op's to refuse, in its own words.
    Value value = given ? *given : to_value(object, wanted);
    if (!arg.type_attr.empty() && !attrs_.find(arg.type_attr)) {
      attrs_.set(arg.type_attr, value.dtype());
    }
    inputs_.push_back(std::move(value));
  }

  [[noreturn]] void missing(std::string_view name) {
    raise(PyExc_TypeError, function_name(*self_.op), "() missing 1 required positional argument: '",
          name, "'");
  }

  const RawOp& self_;
  std::vector<PyObject*> given_;
  std::vector<Value> inputs_;
  AttrMap attrs_;
  std::vector<std::optional<size_t>> sizes_;
  std::string name_;
};

// One tensor, a list, a named tuple, or None for ops without outputs.
nb::object results_of(const RawOp& self, std::vector<Value> values,
                      const std::vector<std::optional<size_t>>& sizes) {
  const std::vector<ArgDef>& outputs = self.op->outputs();
  if (outputs.empty()) return nb::none();
  if (outputs.size() == 1 && !is_list(outputs[0])) return wrap(std::move(values[0]));
  const auto list_of = [&](size_t begin, size_t count) {
    nb::list list;
    for (size_t i = begin; i < begin + count; ++i) list.append(wrap(std::move(values[i])));
    return list;
  };
  if (outputs.size() == 1) return list_of(0, values.size());
  // One list at most may take what the others leave.
  size_t told = 0, at = 0;
  for (const std::optional<size_t>& size : sizes) told += size.value_or(0);
  nb::list fields;
  for (size_t i = 0; i < outputs.size(); ++i) {
    size_t count = sizes[i].value_or(values.size() - std::min(values.size(), told));
    count = std::min(count, values.size() - at);
    fields.append(is_list(outputs[i]) ? list_of(at, count) : wrap(std::move(values[at])));
    at += count;
  }
  return nb::handle(self.result_type)(*fields);
}

PyObject* call_raw_op(PyObject* object, PyObject* const* args, size_t flags, PyObject* names) {
  const RawOp& self = *reinterpret_cast<RawOp*>(object);
  return guarded([&]() -> nb::object {
    if (PyVectorcall_NARGS(flags) > 0) {
      std::vector<std::string> known;
      for (const Keyword& keyword : *self.keywords) {
        known.push_back(cat("'", nb::str(nb::handle(keyword.name)).c_str(), "'"));
      }
      raise(PyExc_TypeError, function_name(*self.op), " only takes keyword args (possible keys: [",
            join(known, ", "), "]). Please pass these args as kwargs instead.");
    }
    RawCall call(self, args, names);
    std::vector<Value> values = call.run();
    return results_of(self, std::move(values), call.sizes());
  });
}

void free_raw_op(PyObject* object) {
  RawOp* self = reinterpret_cast<RawOp*>(object);
  for (const Keyword& keyword : *self->keywords) Py_DECREF(keyword.name);
  delete self->keywords;
  Py_XDECREF(self->result_type);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* repr_raw_op(PyObject* object) {
  const RawOp& self = *reinterpret_cast<RawOp*>(object);
  return guarded(
      [&]() -> nb::object { return nb::str(cat("<raw op ", self.op->name(), ">").c_str()); });
}

PyMemberDef raw_op_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(RawOp, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyTypeObject* raw_op_type() {
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(free_raw_op)},
                                {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_repr, reinterpret_cast<void*>(repr_raw_op)},
                                {Py_tp_members, raw_op_members},
                                {0, nullptr}};
  static PyType_Spec spec = {
      "tenon._tenon.RawOp", sizeof(RawOp), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  static PyTypeObject* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!type) throw nb::python_error();
  return type;
}

nb::object make_raw_op(const std::string& name) {
  const OpDef* op = OpRegistry::global().find(name);
  if (!op) return nb::none();
  RawOp* self = PyObject_New(RawOp, raw_op_type());
  if (!self) throw nb::python_error();
  self->vectorcall = call_raw_op;
  self->op = op;
  self->keywords = new std::vector<Keyword>;
  self->result_type = nullptr;
  for (const ArgDef& input : op->inputs()) {
    self->keywords->push_back({keyword_name(*op, input.name), &input, nullptr});
  }
  for (const AttrDef& attr : op->attrs()) {
    self->keywords->push_back({keyword_name(*op, attr.name), nullptr, &attr});
  }
  self->keywords->push_back({PyUnicode_InternFromString("name"), nullptr, nullptr});
  if (op->outputs().size() > 1) {
    nb::list fields;
    for (const ArgDef& output : op->outputs()) fields.append(nb::str(output.name.c_str()));
    self->result_type =
        nb::module_::import_("collections")
            .attr("namedtuple")(nb::str(name.c_str()), fields, nb::arg("rename") = true)
            .release()
            .ptr();
  }
  return nb::steal(reinterpret_cast<PyObject*>(self));
}

}  // namespace

void register_raw_ops(nb::module_& m) {
  m.def("raw_op", make_raw_op, "The function of an op; None where there is none of that name.");
  m.def("op_names", [] {
    std::vector<std::string> names;
    for (const OpDef* op : OpRegistry::global().all()) names.push_back(op->name());
    return names;
  });
  m.def("cached_ops", cached_ops);
  m.def("forget_ops", forget_ops);
}

}  // namespace tenon::python
