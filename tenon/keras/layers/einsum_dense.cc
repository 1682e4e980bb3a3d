#include <set>

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// An equation "abc,cde->abde" taken apart; "..." in front of input and output stands for the
// dimensions that have no letter.
struct EinsumEquation {
  std::string input, kernel, output;
  bool open = false;
};

StatusOr<EinsumEquation> parse_equation(const std::string& text) {
  const Status bad = invalid_argument("equation is '", text, "', expected one like 'ab,bc->ac'");
  const size_t comma = text.find(','), arrow = text.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || comma > arrow) return bad;
  EinsumEquation e{text.substr(0, comma), text.substr(comma + 1, arrow - comma - 1),
                   text.substr(arrow + 2), false};
  if (e.input.starts_with("...") && e.output.starts_with("...")) {
    e.open = true;
    e.input.erase(0, 3);
    e.output.erase(0, 3);
  }
  for (const std::string* part : {&e.input, &e.kernel, &e.output}) {
    const bool letters = std::all_of(part->begin(), part->end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    if (!letters || std::set<char>(part->begin(), part->end()).size() != part->size()) return bad;
  }
  return e;
}

class EinsumDenseLayer final : public Layer {
 public:
  explicit EinsumDenseLayer(EinsumDenseOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "EinsumDense"; }
  void fields(ConfigFields& f) override {
    Json shape{Json::Array()};
    for (int64_t dim : o_.output_shape) shape.push(dim < 0 ? Json() : Json(dim));
    f.field("output_shape", shape);
    if (shape.integer()) shape = Json(Json::Array{shape});
    const StatusOr<PartialShape> read = shape_from_json(shape);
    shape_status_ = read.status();
    if (read.ok()) o_.output_shape.assign(read->dims().begin(), read->dims().end());
    f.field("equation", o_.equation);
    f.activation("activation", o_.activation);
    Json bias = o_.bias_axes.empty() ? Json() : Json(o_.bias_axes);
    f.field("bias_axes", bias);
    o_.bias_axes = bias.string() ? *bias.string() : "";
    f.field("kernel_initializer", o_.kernel_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f, {"kernel_regularizer", "bias_regularizer", "activity_regularizer",
                    "kernel_constraint", "bias_constraint"});
    f.none({"quantization_config"});
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(shape_status_);
    TENON_ASSIGN_OR_RETURN(const EinsumEquation e, parse_equation(o_.equation));
    const PartialShape& x = inputs[0];
    const int hidden = x.rank() - static_cast<int>(e.input.size());
    if (hidden < 0 || (hidden > 0 && !e.open)) {
      return invalid_argument("the input has shape ", x, ", the equation '", o_.equation,
                              "' takes ", e.input.size(), " dimensions");
    }
    // The size of each letter. output_shape lacks the batch, which may be the first letter.
    std::map<char, int64_t> sizes;
    for (size_t i = 0; i < e.input.size(); ++i) sizes[e.input[i]] = x[hidden + static_cast<int>(i)];
    const auto outputs = static_cast<int64_t>(e.output.size());
    const auto given = static_cast<int64_t>(o_.output_shape.size());
    for (int64_t i = 0; i < outputs; ++i) {
      const int64_t at = given - outputs + i;
      const int64_t size = at >= 0 ? o_.output_shape[static_cast<size_t>(at)] : -1;
      if (size < 0) continue;
      const auto [it, fresh] = sizes.try_emplace(e.output[static_cast<size_t>(i)], size);
      if (!fresh && it->second >= 0 && it->second != size) {
        return invalid_argument("output_shape has ", size, " for '", it->first, "', the input ",
                                it->second);
      }
      it->second = size;
    }
    const auto shape_of = [&](const std::string& letters) -> StatusOr<Shape> {
      Shape shape;
      for (char c : letters) {
        const auto it = sizes.find(c);
        if (it == sizes.end() || it->second <= 0) {
          return invalid_argument("the size of '", std::string(1, c), "' in '", o_.equation,
                                  "' is not known");
        }
        shape.append(it->second);
      }
      return shape;
    };
    TENON_ASSIGN_OR_RETURN(Shape kernel, shape_of(e.kernel));
    add_weight("kernel", std::move(kernel), o_.kernel_initializer);
    if (o_.bias_axes.empty()) return absl::OkStatus();
    const size_t first = e.output.find_first_of(o_.bias_axes);
    if (first == std::string::npos ||
        o_.bias_axes.find_first_not_of(e.output) != std::string::npos) {
      return invalid_argument("bias_axes is '", o_.bias_axes, "', not among the output's '",
                              e.output, "'");
    }
    Shape bias;
    for (char c : e.output.substr(first)) {
      const bool own = o_.bias_axes.find(c) != std::string::npos;
      TENON_ASSIGN_OR_RETURN(const Shape size, own ? shape_of(std::string(1, c)) : Shape{1});
      bias.append(size[0]);
    }
    add_weight("bias", std::move(bias), o_.bias_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint y = g.op("Einsum", {inputs[0], trace.read(weight(0))}, {{"equation", o_.equation}});
    if (weights().size() > 1) y = g.add(y, trace.read(weight(1)));
    return activate(g, o_.activation, y);
  }

 private:
  EinsumDenseOptions o_;
  Status shape_status_;
};

}  // namespace

LayerRef EinsumDense(EinsumDenseOptions options) {
  return std::make_shared<EinsumDenseLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_einsum_dense() {
  return std::make_shared<EinsumDenseLayer>(EinsumDenseOptions{});
}

}  // namespace tenon::keras
