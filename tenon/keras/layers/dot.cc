#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Products of two inputs along one axis of each, row by row of the batch (Keras' batch_dot).
class DotLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Dot"; }
  bool takes_list() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("axes", axes_json_);
    f.field("normalize", normalize_);
  }
  Status build(const Shapes& inputs) override {
    if (inputs.size() != 2) {
      return invalid_argument("takes two inputs, ", inputs.size(), " were given");
    }
    const auto* both = axes_json_.items();
    for (size_t i = 0; i < 2; ++i) {
      const Json* axis = both ? (i < both->size() ? &(*both)[i] : nullptr) : &axes_json_;
      const int rank = inputs[i].rank();
      if (!axis || !axis->integer() || (both && both->size() != 2)) {
        return invalid_argument("axes is no number and no pair of numbers");
      }
      if (rank < 2 || rank > 8) {
        return invalid_argument("input ", i, " has shape ", inputs[i], ", expected rank 2 to 8");
      }
      TENON_ASSIGN_OR_RETURN(axes_[i], resolve_axis(*axis->integer(), rank));
      if (axes_[i] == 0) return invalid_argument("axes: axis 0 is that of the batch");
    }
    const int64_t a = inputs[0][axes_[0]], b = inputs[1][axes_[1]];
    if (a < 0 || b < 0 || a == b) return absl::OkStatus();
    return invalid_argument("the inputs have shapes ", inputs[0], " and ", inputs[1],
                            ", whose axes ", axes_[0], " and ", axes_[1], " differ in size");
  }
  // Letters: the batch is a, the common axis z.
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::string terms[2], result = "a";
    char next = 'b';
    for (size_t i = 0; i < 2; ++i) {
      const int rank = g.shape(inputs[i]).rank();
      terms[i] = "a";
      for (int axis = 1; axis < rank; ++axis) {
        terms[i] += axis == axes_[i] ? 'z' : next;
        if (axis != axes_[i]) result += next++;
      }
    }
    const Endpoint x = normalized(g, inputs[0], 0), y = normalized(g, inputs[1], 1);
    const Endpoint product =
        g.op("Einsum", {x, y},
             {{"equation", cat(terms[0], ",", terms[1], "->", result)}, {"N", int64_t{2}}});
    return result.size() == 1 ? g.op("ExpandDims", {product, g.scalar<int32_t>(1)}) : product;
  }
  // Keras' compute_mask() gives none.
  void output_masks(Trace&, const Arguments&, Outputs&) const override {}
  bool supports_masking() const override { return true; }

 private:
  // keras.utils.normalize's place in a graph: by the length along the axis.
  Endpoint normalized(GraphBuilder& g, Endpoint x, size_t input) const {
    if (!normalize_) return x;
    const int64_t axes[] = {axes_[input]};
    const Endpoint squares = g.sum(g.op("Square", {x}), axes, true);
    const Endpoint least = g.op("Maximum", {squares, g.scalar_of(g.dtype(x), 1e-12)});
    return g.mul(x, g.op("Rsqrt", {least}));
  }

  Json axes_json_ = -1;
  bool normalize_ = false;
  std::array<int, 2> axes_{};
};

}  // namespace

std::shared_ptr<Layer> layers::make_dot() { return std::make_shared<DotLayer>(); }

}  // namespace tenon::keras
