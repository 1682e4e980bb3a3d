#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// -1 where a factor is not known, or the product cannot be told in 64 bits.
int64_t elements_of(std::span<const int64_t> dims) {
  int64_t product = 1;
  for (const int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(product, dim, &product)) return -1;
  }
  return product;
}

class FlattenLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Flatten"; }
  void fields(ConfigFields& f) override { f.only("data_format", "channels_last"); }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const auto dims = g.shape(inputs[0]).dims();
    const int64_t width = elements_of(dims.subspan(std::min<size_t>(1, dims.size())));
    if (width >= 0) return g.reshape(inputs[0], g.integers({-1, width}));
    // Only the running batch knows the width.
    const Endpoint rows = g.slice(g.shape_of(inputs[0]), 0, 1);
    const Endpoint rest = g.integers({-1});
    return g.reshape(inputs[0], g.concat({rows, rest}, 0));
  }
};

class ReshapeLayer final : public Layer {
 public:
  explicit ReshapeLayer(std::vector<int64_t> target) : target_shape_(std::move(target)) {}
  std::string_view class_name() const override { return "Reshape"; }
  void fields(ConfigFields& f) override { f.field("target_shape", target_shape_); }
  Status build(const Shapes& inputs) override {
    const auto given = inputs[0].dims();
    const int64_t elements = elements_of(given.subspan(std::min<size_t>(1, given.size())));
    std::vector<int64_t> known;
    dims_ = {-1};
    int64_t* free = nullptr;
    dims_.insert(dims_.end(), target_shape_.begin(), target_shape_.end());
    for (size_t i = 1; i < dims_.size(); ++i) {
      if (dims_[i] >= 0) {
        known.push_back(dims_[i]);
      } else if (free) {
        return invalid_argument("target_shape has more than one -1");
      } else {
        free = &dims_[i];
      }
    }
    const int64_t wanted = elements_of(known);
    if (free && elements >= 0 && wanted > 0 && elements % wanted == 0) *free = elements / wanted;
    if (elements < 0 || (free && *free < 0) || (!free && wanted != elements)) {
      return invalid_argument("an input of shape ", inputs[0], " cannot become (None, ",
                              join(target_shape_, ", "), ")");
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    return trace.build().reshape(inputs[0], dims_);
  }

 private:
  std::vector<int64_t> target_shape_;
  std::vector<int64_t> dims_;  // with the batch, -1 resolved
};

class PermuteLayer final : public Layer {
 public:
  explicit PermuteLayer(std::vector<int64_t> dims) : dims_(std::move(dims)) {}
  std::string_view class_name() const override { return "Permute"; }
  void fields(ConfigFields& f) override { f.field("dims", dims_); }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    std::vector<int64_t> order = {0};
    order.insert(order.end(), dims_.begin(), dims_.end());
    return trace.build().op("Transpose", {inputs[0], trace.build().integers(order)});
  }

 private:
  std::vector<int64_t> dims_;
};

}  // namespace

LayerRef Flatten(std::string_view name) {
  auto layer = std::make_shared<FlattenLayer>();
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
LayerRef Reshape(std::vector<int64_t> target_shape, std::string_view name) {
  auto layer = std::make_shared<ReshapeLayer>(std::move(target_shape));
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
LayerRef Permute(std::vector<int64_t> dims, std::string_view name) {
  auto layer = std::make_shared<PermuteLayer>(std::move(dims));
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
std::shared_ptr<Layer> layers::make_flatten() { return std::make_shared<FlattenLayer>(); }
std::shared_ptr<Layer> layers::make_reshape() {
  return std::make_shared<ReshapeLayer>(std::vector<int64_t>{});
}
std::shared_ptr<Layer> layers::make_permute() {
  return std::make_shared<PermuteLayer>(std::vector<int64_t>{});
}

}  // namespace tenon::keras
