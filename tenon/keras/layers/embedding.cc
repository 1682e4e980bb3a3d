#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class EmbeddingLayer final : public Layer {
 public:
  explicit EmbeddingLayer(EmbeddingOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Embedding"; }
  void fields(ConfigFields& f) override {
    f.field("input_dim", o_.input_dim);
    f.field("output_dim", o_.output_dim);
    f.field("embeddings_initializer", o_.embeddings_initializer);
    rule_fields(f, {"embeddings_regularizer", "activity_regularizer", "embeddings_constraint"});
    f.field("mask_zero", o_.mask_zero);
    f.only("quantization_config", nullptr);
  }
  Status build(const Shapes&) override {
    if (o_.input_dim <= 0 || o_.output_dim <= 0) {
      return invalid_argument("input_dim and output_dim must be above 0");
    }
    add_weight("embeddings", {o_.input_dim, o_.output_dim}, o_.embeddings_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    return g.op("GatherV2",
                {trace.read(weight(0)), g.cast(inputs[0], DType::kInt32), g.scalar<int32_t>(0)});
  }
  // Class 0 is the filling of sequences that are shorter.
  void output_masks(Trace& trace, const Arguments& inputs, Outputs& outputs) const override {
    if (!o_.mask_zero) return;
    GraphBuilder& g = trace.build();
    outputs[0].mask = g.op("NotEqual", {inputs[0], g.scalar_of(g.dtype(inputs[0]), 0)});
  }

 private:
  EmbeddingOptions o_;
};

}  // namespace

LayerRef Embedding(EmbeddingOptions options) {
  return std::make_shared<EmbeddingLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_embedding() {
  return std::make_shared<EmbeddingLayer>(EmbeddingOptions{});
}

}  // namespace tenon::keras
