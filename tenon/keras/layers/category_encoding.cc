#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Class numbers as vectors: one for each, or which of them a row has, or how often.
class CategoryEncodingLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "CategoryEncoding"; }
  bool casts_inputs() const override { return false; }
  void fields(ConfigFields& f) override {
    f.field("num_tokens", num_tokens_);
    f.field("output_mode", output_mode_);
  }
  Status build(const Shapes& inputs) override {
    if (num_tokens_ < 1 || num_tokens_ > INT32_MAX) {
      return invalid_argument("num_tokens is ", num_tokens_, ", expected 1 or more");
    }
    return layers::check_encoding(output_mode_, inputs[0]);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    return layers::encode_categories(trace.build(), inputs[0], output_mode_, num_tokens_,
                                     policy().compute);
  }

 private:
  int64_t num_tokens_ = 0;
  std::string output_mode_ = "multi_hot";
};

}  // namespace

Status layers::check_encoding(std::string_view mode, const PartialShape& input) {
  if (mode != "one_hot" && mode != "multi_hot" && mode != "count") {
    return invalid_argument("output_mode is '", mode, "', expected one_hot, multi_hot or count");
  }
  if (input.has_rank() && input.rank() >= 2) return absl::OkStatus();
  return invalid_argument("the input has shape ", input, ", expected rank 2 or more");
}

Endpoint layers::encode_categories(GraphBuilder& g, Endpoint x, std::string_view mode,
                                   int64_t depth, DType dtype) {
  if (!g.status().ok()) return {};
  const PartialShape shape = g.shape(x);
  const DType from = g.dtype(x);
  if (from != DType::kInt32 && from != DType::kInt64) x = g.cast(x, DType::kInt32);
  if (mode == "one_hot" && shape[shape.rank() - 1] == 1) {
    x = g.op("Squeeze", {x}, {{"squeeze_dims", std::vector<int64_t>{-1}}});
  }
  const Endpoint hot = g.op("OneHot", {x, g.scalar(static_cast<int32_t>(depth)),
                                       g.scalar_of(dtype, 1), g.scalar_of(dtype, 0)});
  if (mode == "one_hot") return hot;
  return g.op(mode == "count" ? "Sum" : "Max", {hot, g.integers({1})});
}

std::shared_ptr<Layer> layers::make_category_encoding() {
  return std::make_shared<CategoryEncodingLayer>();
}

}  // namespace tenon::keras
