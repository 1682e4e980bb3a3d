// Operations of keras.ops in functional models: what Python's operators, keras.ops' functions and
// masks leave there. Their options stand in the config, as Keras' classes name them.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// The tensors of a call, the plain values in their places, and the config.
struct OperationCall {
  GraphBuilder& g;
  std::vector<Endpoint> x;
  const std::vector<Json>& values;
  const Json& config;

  std::vector<int64_t> axes() const {
    const Json& axis = config["axis"];
    std::vector<int64_t> axes;
    if (axis.integer()) axes.push_back(*axis.integer());
    for (const Json& item : axis.items() ? *axis.items() : Json::Array()) {
      if (item.integer()) axes.push_back(*item.integer());
    }
    for (int i = 0; axis.is_null() && i < g.shape(x[0]).rank(); ++i) axes.push_back(i);
    return axes;
  }
  std::vector<int64_t> integers(std::string_view name) const {
    std::vector<int64_t> values;
    for (const Json& item : config[name].items() ? *config[name].items() : Json::Array()) {
      values.push_back(item.integer() ? *item.integer() : -1);
    }
    return values;
  }
};

struct OperationRow {
  std::string_view class_name;
  std::string_view op;  // of TensorFlow
  Endpoint (*make)(const OperationCall& call, std::string_view op);
};

Endpoint unary(const OperationCall& c, std::string_view op) { return c.g.op(op, {c.x[0]}); }

Endpoint binary(const OperationCall& c, std::string_view op) {
  if (c.x.size() != 2) {
    c.g.fail(invalid_argument("the operation takes two arguments, not ", c.x.size()));
    return {};
  }
  return c.g.op(op, {c.x[0], c.x[1]});
}

Endpoint reduction(const OperationCall& c, std::string_view op) {
  Endpoint x = c.x[0];
  if (op == "Mean" && !is_floating(c.g.dtype(x))) x = c.g.cast(x, DType::kFloat);
  return c.g.op(op, {x, c.g.integers(c.axes())},
                {{"keep_dims", c.config["keepdims"] == Json(true)}});
}

Endpoint filled(const OperationCall& c, std::string_view op) {
  const std::string dtype = c.config.text("dtype");
  Endpoint x = c.x[0];
  if (!dtype.empty()) x = c.g.cast(x, parse_dtype(dtype).value_or(c.g.dtype(x)));
  return c.g.op(op, {x});
}

Endpoint joined(const OperationCall& c, std::string_view op) {
  const std::vector<int64_t> axes = c.axes();
  const int64_t count = static_cast<int64_t>(c.x.size());
  const int64_t axis = axes.size() == 1 ? axes[0] : 0;
  if (op == "Pack") return c.g.op(op, c.x, {{"N", count}, {"axis", axis}});
  std::vector<Endpoint> inputs = c.x;
  inputs.push_back(c.g.scalar(static_cast<int32_t>(axis)));
  return c.g.op(op, std::move(inputs), {{"N", count}});
}

// Python's x[key]: integers, slices, None and an ellipsis.
Endpoint item(const OperationCall& c, std::string_view op) {
  const Json& given = c.values.size() == 2 ? c.values[1] : c.values[0];
  const Json::Array keys = given.items() ? *given.items() : Json::Array{given};
  std::vector<int64_t> begin, end, step;
  int64_t begin_mask = 0, end_mask = 0, ellipsis_mask = 0, new_axis_mask = 0, shrink_mask = 0;
  constexpr size_t kMostKeys = 30;
  if (keys.size() > kMostKeys) {
    c.g.fail(invalid_argument("x[...] has ", keys.size(), " indices, at most ", kMostKeys,
                              " are possible"));
    return {};
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    const Json& key = keys[i];
    const int64_t bit = int64_t{1} << i;
    const std::string kind = key.text("class_name");
    const auto part = [&](std::string_view name, int64_t otherwise) {
      const int64_t* value = key["config"][name].integer();
      return value ? *value : otherwise;
    };
    begin.push_back(key.integer() ? *key.integer() : part("start", 0));
    end.push_back(key.integer() ? std::min(*key.integer(), INT64_MAX - 1) + 1 : part("stop", 0));
    step.push_back(part("step", 1));
    if (key.integer()) {
      shrink_mask |= bit;
    } else if (key.is_null()) {
      new_axis_mask |= bit;
    } else if (kind == "__ellipsis__") {
      ellipsis_mask |= bit;
    } else if (kind == "__slice__") {
      if (key["config"]["start"].is_null()) begin_mask |= bit;
      if (key["config"]["stop"].is_null()) end_mask |= bit;
    } else {
      c.g.fail(unimplemented("an index is ", key.dump().substr(0, 100),
                             ", neither an integer nor a slice, None or an ellipsis"));
      return {};
    }
  }
  const auto integers = [&](const std::vector<int64_t>& values) {
    return c.g.constant(Tensor::vector<int64_t>(values));  // a file may hold any
  };
  return c.g.op(op, {c.x[0], integers(begin), integers(end), integers(step)},
                {{"begin_mask", begin_mask},
                 {"end_mask", end_mask},
                 {"ellipsis_mask", ellipsis_mask},
                 {"new_axis_mask", new_axis_mask},
                 {"shrink_axis_mask", shrink_mask}});
}

// keras.ops.where(condition, x1, x2).
Endpoint chosen(const OperationCall& c, std::string_view op) {
  if (c.x.size() != 3) {
    c.g.fail(unimplemented("where(condition) without the values to choose from"));
    return {};
  }
  return c.g.op(op, {c.g.cast(c.x[0], DType::kBool), c.x[1], c.x[2]});
}

constexpr OperationRow kOperations[] = {
    {"Add", "AddV2", binary},
    {"Subtract", "Sub", binary},
    {"Multiply", "Mul", binary},
    {"TrueDivide", "RealDiv", binary},
    {"Divide", "RealDiv", binary},
    {"Power", "Pow", binary},
    {"Maximum", "Maximum", binary},
    {"Minimum", "Minimum", binary},
    {"Matmul", "BatchMatMulV2", binary},
    {"Equal", "Equal", binary},
    {"NotEqual", "NotEqual", binary},
    {"Less", "Less", binary},
    {"LessEqual", "LessEqual", binary},
    {"Greater", "Greater", binary},
    {"GreaterEqual", "GreaterEqual", binary},
    {"LogicalOr", "LogicalOr", binary},
    {"LogicalAnd", "LogicalAnd", binary},
    {"LogicalNot", "LogicalNot", unary},
    {"Where", "SelectV2", chosen},
    {"Negative", "Neg", unary},
    {"Absolute", "Abs", unary},
    {"Abs", "Abs", unary},
    {"Exp", "Exp", unary},
    {"Log", "Log", unary},
    {"Sqrt", "Sqrt", unary},
    {"Square", "Square", unary},
    {"Sin", "Sin", unary},
    {"Cos", "Cos", unary},
    {"Tanh", "Tanh", unary},
    {"Sigmoid", "Sigmoid", unary},
    {"Relu", "Relu", unary},
    {"Softmax", "Softmax", unary},
    {"Any", "Any", reduction},
    {"All", "All", reduction},
    {"Mean", "Mean", reduction},
    {"Sum", "Sum", reduction},
    {"Max", "Max", reduction},
    {"Min", "Min", reduction},
    {"ZerosLike", "ZerosLike", filled},
    {"OnesLike", "OnesLike", filled},
    {"Concatenate", "ConcatV2", joined},
    {"Stack", "Pack", joined},
    {"GetItem", "StridedSlice", item},
    {"Cast", "Cast",
     [](const OperationCall& c, std::string_view) {
       return c.g.cast(c.x[0], parse_dtype(c.config.text("dtype")).value_or(DType::kInvalid));
     }},
    {"ExpandDims", "ExpandDims",
     [](const OperationCall& c, std::string_view op) {
       const std::vector<int64_t> axes = c.axes();
       const int64_t axis = axes.size() == 1 ? axes[0] : -1;
       return c.g.op(op, {c.x[0], c.g.scalar(static_cast<int32_t>(axis))});
     }},
    {"Squeeze", "Squeeze",
     [](const OperationCall& c, std::string_view op) {
       const std::vector<int64_t> none;
       return c.g.op(op, {c.x[0]},
                     {{"squeeze_dims", c.config["axis"].is_null() ? none : c.axes()}});
     }},
    {"Reshape", "Reshape",
     [](const OperationCall& c, std::string_view) {
       return c.g.reshape(c.x[0], c.integers("newshape"));
     }},
    {"Transpose", "Transpose",
     [](const OperationCall& c, std::string_view op) {
       std::vector<int64_t> axes = c.integers("axes");
       if (c.config["axes"].is_null()) {
         for (int i = c.g.shape(c.x[0]).rank() - 1; i >= 0; --i) axes.push_back(i);
       }
       return c.g.op(op, {c.x[0], c.g.integers(axes)});
     }},
};

// Python's numbers take the dtype of the tensor beside them; a fraction or a division makes
// integers float32.
void match_dtypes(GraphBuilder& g, std::string_view op, std::span<Endpoint> x,
                  std::span<const Json> values) {
  DType dtype = DType::kInvalid;
  bool fraction = op == "RealDiv";
  for (size_t i = 0; i < x.size(); ++i) {
    if (!x[i]) {
      fraction |= values[i].number().has_value() && !values[i].integer();
    } else if (dtype == DType::kInvalid || is_floating(g.dtype(x[i]))) {
      dtype = g.dtype(x[i]);
    }
  }
  if (fraction && !is_floating(dtype)) dtype = DType::kFloat;
  if (dtype == DType::kInvalid) dtype = DType::kInt32;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i]) {
      x[i] = g.cast(x[i], dtype);
    } else if (values[i].boolean()) {
      x[i] = g.cast(g.scalar(*values[i].boolean()), dtype);
    } else if (values[i].number()) {
      x[i] = g.scalar_of(dtype, *values[i].number());
    } else {
      g.fail(unimplemented("an argument is ", values[i].dump(), ", neither tensor nor number"));
    }
  }
}

class OperationLayer final : public Layer {
 public:
  OperationLayer(const OperationRow& row, Json json) : row_(row), json_(std::move(json)) {
    set_name(json_["config"].text("name", json_.text("name")));
  }
  std::string_view class_name() const override { return row_.class_name; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"condition", "x1", "x2"};
    return std::span(kParameters).subspan(row_.make == chosen ? 0 : 1);
  }
  bool is_operation() const override { return true; }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> x;
    std::vector<Json> values;
    for (const auto& argument : inputs.all()) {
      for (const Value& value : argument.tensors) {
        x.push_back(value.tensor);
        values.emplace_back();
      }
      if (!argument.tensors.empty()) continue;
      x.emplace_back();
      values.push_back(argument.value);
    }
    const size_t first = row_.make == chosen ? 1 : 0;  // a condition keeps its dtype
    if (x.size() > first + 1 && row_.make != item) {
      match_dtypes(g, row_.op, std::span(x).subspan(first), std::span(values).subspan(first));
    }
    if (!g.status().ok() || x.empty() || !x[0]) {
      g.fail(invalid_argument("the operation is called without a tensor"));
      return {};
    }
    return row_.make({g, std::move(x), values, json_["config"]}, row_.op);
  }
  Json describe() const override {
    Json config = json_["config"];
    config.set("name", name());
    return Json::object({{"module", json_["module"]},
                         {"class_name", class_name()},
                         {"config", std::move(config)},
                         {"registered_name", json_["registered_name"]}});
  }

 private:
  const OperationRow& row_;
  Json json_;
};

}  // namespace

std::shared_ptr<Layer> layers::operation(const Json& json) {
  const std::string module = json.text("module"), name = json.text("class_name");
  if (!module.starts_with("keras.src.ops.") && !module.starts_with("keras.ops")) return nullptr;
  if (json.text("registered_name", name) != name || !json["config"].is_object()) return nullptr;
  for (const OperationRow& row : kOperations) {
    if (row.class_name == name) return std::make_shared<OperationLayer>(row, json);
  }
  return nullptr;
}

}  // namespace tenon::keras
