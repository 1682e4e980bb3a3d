#include "tenon/keras/layers/preprocessing/lookup.h"

namespace tenon::keras {

namespace {

// Numbers to the intervals that they fall into. Boundaries that Keras' adapt() has found stand in
// the config like those that are given.
class DiscretizationLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Discretization"; }
  void fields(ConfigFields& f) override {
    f.field("bin_boundaries", bin_boundaries_);
    f.field("num_bins", num_bins_);
    f.field("epsilon", epsilon_);
    f.field("output_mode", output_mode_);
    f.only("sparse", false);
  }
  Status build(const Shapes& inputs) override {
    if (bin_boundaries_.is_null()) {
      return failed_precondition("there are no bin_boundaries; Keras' adapt() finds them in data");
    }
    boundaries_.clear();
    for (const Json& at :
         bin_boundaries_.items() ? *bin_boundaries_.items() : Json::Array{nullptr}) {
      if (!at.number()) return invalid_argument("bin_boundaries is no list of numbers");
      boundaries_.push_back(static_cast<float>(*at.number()));
    }
    if (!std::is_sorted(boundaries_.begin(), boundaries_.end())) {
      return invalid_argument("bin_boundaries must be sorted");
    }
    return layers::check_output_mode(output_mode_, inputs[0]);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x = inputs[0];
    const DType dtype = g.dtype(x);
    if (dtype != DType::kInt32 && dtype != DType::kInt64 && dtype != DType::kDouble) {
      x = g.cast(x, DType::kFloat);
    }
    const Endpoint bin = g.op("Bucketize", {x}, {{"boundaries", boundaries_}});
    if (output_mode_ == "int") return bin;
    return layers::encode_numbers(g, bin, output_mode_,
                                  static_cast<int64_t>(boundaries_.size()) + 1, policy().compute);
  }
  Json describe() const override {
    return layers::with_plain_dtype(Layer::describe(), policy().name);
  }

 private:
  Json bin_boundaries_;
  std::optional<int64_t> num_bins_;
  double epsilon_ = 0.01;
  std::string output_mode_ = "int";
  std::vector<float> boundaries_;
};

}  // namespace

std::shared_ptr<Layer> layers::make_discretization() {
  return std::make_shared<DiscretizationLayer>();
}

}  // namespace tenon::keras
