#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Layers that fold a list with a binary op: one row each.
struct MergeRow {
  std::string_view class_name;
  std::string_view op;
  bool average = false;
};
constexpr MergeRow kAdd = {"Add", "AddV2"};
constexpr MergeRow kSubtract = {"Subtract", "Sub"};
constexpr MergeRow kMultiply = {"Multiply", "Mul"};
constexpr MergeRow kAverage = {"Average", "AddV2", true};
constexpr MergeRow kMaximum = {"Maximum", "Maximum"};
constexpr MergeRow kMinimum = {"Minimum", "Minimum"};

class MergeLayer final : public Layer {
 public:
  explicit MergeLayer(const MergeRow& row) : row_(row) {}
  std::string_view class_name() const override { return row_.class_name; }
  bool takes_list() const override { return true; }
  Status build(const Shapes& inputs) override {
    if (inputs.size() >= 2) return absl::OkStatus();
    return invalid_argument("a merge takes two inputs or more, not ", inputs.size());
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint out = inputs[0];
    for (size_t i = 1; i < inputs.size(); ++i) out = g.op(row_.op, {out, inputs[i]});
    if (row_.average) {
      out = g.div(out, g.scalar_of(g.dtype(out), static_cast<double>(inputs.size())));
    }
    return out;
  }
  // A step counts where any of the inputs has it; where one has no mask, there is none.
  void output_masks(Trace& trace, const Arguments& inputs, Outputs& outputs) const override {
    Endpoint mask = inputs.mask(0);
    for (size_t i = 1; i < inputs.size(); ++i) {
      if (!mask || !inputs.mask(i)) return;
      mask = trace.build().op("LogicalOr", {mask, inputs.mask(i)});
    }
    outputs[0].mask = mask;
  }

 private:
  const MergeRow& row_;
};

class ConcatenateLayer final : public Layer {
 public:
  explicit ConcatenateLayer(int64_t axis) : axis_(axis) {}
  std::string_view class_name() const override { return "Concatenate"; }
  bool takes_list() const override { return true; }
  void fields(ConfigFields& f) override { f.field("axis", axis_); }
  Status build(const Shapes& inputs) override {
    if (inputs.empty()) return invalid_argument("nothing to concatenate");
    return resolve_axis(axis_, inputs[0].rank()).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> values;
    for (size_t i = 0; i < inputs.size(); ++i) values.push_back(inputs[i]);
    return g.concat(std::move(values), axis_);
  }
  // The masks are concatenated like the values, those that lack filled up with true; a step counts
  // where any of its features does.
  void output_masks(Trace& trace, const Arguments& inputs, Outputs& outputs) const override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> masks;
    bool any = false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Endpoint mask = inputs.mask(i);
      any |= static_cast<bool>(mask);
      const Endpoint shape = g.shape_of(inputs[i]);
      if (mask && g.shape(mask).rank() == g.shape(inputs[i]).rank()) {
        masks.push_back(mask);
      } else {
        const Endpoint spread =
            mask ? g.op("ExpandDims", {mask, g.scalar<int32_t>(-1)}) : g.scalar(true);
        masks.push_back(g.op("BroadcastTo", {spread, shape}));
      }
    }
    if (!any) return;
    outputs[0].mask = g.op("Any", {g.concat(std::move(masks), axis_), g.integers({-1})});
  }

 private:
  int64_t axis_;
};

LayerRef merge(const MergeRow& row, std::string_view name) {
  auto layer = std::make_shared<MergeLayer>(row);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}

}  // namespace

LayerRef Add(std::string_view name) { return merge(kAdd, name); }
LayerRef Subtract(std::string_view name) { return merge(kSubtract, name); }
LayerRef Multiply(std::string_view name) { return merge(kMultiply, name); }
LayerRef Average(std::string_view name) { return merge(kAverage, name); }
LayerRef Maximum(std::string_view name) { return merge(kMaximum, name); }
LayerRef Minimum(std::string_view name) { return merge(kMinimum, name); }
LayerRef Concatenate(int64_t axis, std::string_view name) {
  auto layer = std::make_shared<ConcatenateLayer>(axis);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
std::shared_ptr<Layer> layers::make_add() { return std::make_shared<MergeLayer>(kAdd); }
std::shared_ptr<Layer> layers::make_subtract() { return std::make_shared<MergeLayer>(kSubtract); }
std::shared_ptr<Layer> layers::make_multiply() { return std::make_shared<MergeLayer>(kMultiply); }
std::shared_ptr<Layer> layers::make_average() { return std::make_shared<MergeLayer>(kAverage); }
std::shared_ptr<Layer> layers::make_maximum() { return std::make_shared<MergeLayer>(kMaximum); }
std::shared_ptr<Layer> layers::make_minimum() { return std::make_shared<MergeLayer>(kMinimum); }
std::shared_ptr<Layer> layers::make_concatenate() { return std::make_shared<ConcatenateLayer>(-1); }

}  // namespace tenon::keras
