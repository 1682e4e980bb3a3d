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
  Status build(std::span<const PartialShape> inputs) override {
    if (inputs.size() >= 2) return absl::OkStatus();
    return invalid_argument("a merge takes two inputs or more, not ", inputs.size());
  }
  Endpoint call(Trace& trace, std::span<const Endpoint> inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint out = inputs[0];
    for (Endpoint next : inputs.subspan(1)) out = g.op(row_.op, {out, next});
    if (row_.average) {
      out = g.div(out, g.scalar_of(g.dtype(out), static_cast<double>(inputs.size())));
    }
    return out;
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
  Status build(std::span<const PartialShape> inputs) override {
    if (inputs.empty()) return invalid_argument("nothing to concatenate");
    return resolve_axis(axis_, inputs[0].rank()).status();
  }
  Endpoint call(Trace& trace, std::span<const Endpoint> inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> values(inputs.begin(), inputs.end());
    values.push_back(g.scalar<int32_t>(static_cast<int32_t>(axis_)));
    return g.op("ConcatV2", std::move(values), {{"N", static_cast<int64_t>(inputs.size())}});
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
