#include "tenon/keras/layers/preprocessing/lookup.h"

namespace tenon::keras {

namespace {

// The key of TensorFlow's feature crosses where none is given.
constexpr int64_t kCrossKey = 0xDECAFCAFFE;

Status check_bins(int64_t bins) {
  if (bins >= 1 && bins <= INT32_MAX) return absl::OkStatus();
  return invalid_argument("num_bins is ", bins, ", expected 1 or more");
}

// Texts and integers to numbers of bins, by hash.
class HashingLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Hashing"; }
  bool casts_inputs() const override { return false; }
  void fields(ConfigFields& f) override {
    f.field("num_bins", num_bins_);
    f.field("salt", salt_);
    f.field("mask_value", mask_value_);
    f.field("output_mode", output_mode_);
    f.only("sparse", false);
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(check_bins(num_bins_));
    key_.clear();
    if (salt_.integer()) key_.assign(2, *salt_.integer());
    for (const Json& part : salt_.items() ? *salt_.items() : Json::Array()) {
      if (part.integer()) key_.push_back(*part.integer());
    }
    if (!salt_.is_null() && key_.size() != 2) {
      return invalid_argument("salt is ", salt_.dump(), ", expected one or two integers");
    }
    return layers::check_output_mode(output_mode_, inputs[0]);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    const bool masks = !mask_value_.is_null() && num_bins_ > 1;
    Endpoint text = x;
    if (is_floating(g.dtype(x))) text = g.cast(x, DType::kInt64);
    if (g.dtype(x) != DType::kString) text = g.op("AsString", {text});
    AttrMap attrs{{"num_buckets", masks ? num_bins_ - 1 : num_bins_}};
    if (!key_.empty()) attrs.set("key", key_);
    Endpoint bin = g.op(key_.empty() ? "StringToHashBucketFast" : "StringToHashBucketStrong",
                        {text}, std::move(attrs));
    if (masks) {
      bin = g.op("SelectV2",
                 {is_masked(g, x), g.scalar<int64_t>(0), g.add(bin, g.scalar<int64_t>(1))});
    }
    return layers::encode_numbers(g, bin, output_mode_, num_bins_, policy().compute);
  }

 private:
  Endpoint is_masked(GraphBuilder& g, Endpoint x) const {
    const bool is_text = g.dtype(x) == DType::kString;
    if (is_text ? !mask_value_.string() : !mask_value_.number()) {
      g.fail(invalid_argument("mask_value is ", mask_value_.dump(), ", the input is of dtype ",
                              g.dtype(x)));
      return {};
    }
    return g.op("Equal", {x, is_text ? g.constant(Tensor::string(*mask_value_.string()))
                                     : g.scalar_of(g.dtype(x), *mask_value_.number())});
  }

  int64_t num_bins_ = 0;
  Json salt_, mask_value_;
  std::string output_mode_ = "int";
  std::vector<int64_t> key_;
};

// Several features, each a column of texts or integers, to the bin of their combination.
class HashedCrossingLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "HashedCrossing"; }
  bool casts_inputs() const override { return false; }
  bool takes_list() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("num_bins", num_bins_);
    f.field("output_mode", output_mode_);
    f.only("sparse", false);
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(check_bins(num_bins_));
    if (output_mode_ != "int" && output_mode_ != "one_hot") {
      return invalid_argument("output_mode is '", output_mode_, "', expected int or one_hot");
    }
    if (inputs.size() < 2) return invalid_argument("it takes at least two inputs");
    for (const PartialShape& shape : inputs.first()) {
      if (shape.rank() == inputs[0].rank() && shape.rank() >= 1 && shape.rank() <= 2 &&
          (shape.rank() == 1 || shape[1] == 1)) {
        continue;
      }
      return invalid_argument("an input has shape ", shape,
                              ", all should have shape `(batch_size)` or `(batch_size, 1)`");
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> features;
    std::vector<DType> dtypes;
    DType within = DType::kString;
    for (size_t i = 0; i < inputs.size(); ++i) {
      Endpoint x = inputs[i];
      if (is_floating(g.dtype(x))) {
        g.fail(invalid_argument("an input is of dtype ", g.dtype(x),
                                ", all should have an integer or string dtype"));
        return {};
      }
      if (g.dtype(x) != DType::kString) x = g.cast(x, within = DType::kInt64);
      features.push_back(g.reshape(x, g.integers({-1, 1})));
      dtypes.push_back(g.dtype(x));
    }
    const std::vector<Endpoint> crossed = g.ops("SparseCross", std::move(features),
                                                {{"N", int64_t{0}},
                                                 {"hashed_output", true},
                                                 {"num_buckets", num_bins_},
                                                 {"hash_key", kCrossKey},
                                                 {"sparse_types", std::vector<DType>()},
                                                 {"dense_types", std::move(dtypes)},
                                                 {"out_type", DType::kInt64},
                                                 {"internal_type", within}});
    if (!g.status().ok()) return {};
    const Endpoint dense =
        g.op("SparseToDense", {crossed[0], crossed[2], crossed[1], g.scalar<int64_t>(0)});
    const Endpoint bin =
        g.reshape(dense, g.shape(inputs[0]).rank() == 1 ? g.integers({-1}) : g.integers({-1, 1}));
    return layers::encode_numbers(g, bin, output_mode_, num_bins_, policy().compute);
  }
  Json describe() const override {
    return layers::with_plain_dtype(Layer::describe(), policy().name);
  }

 private:
  int64_t num_bins_ = 0;
  std::string output_mode_ = "int";
};

}  // namespace

std::shared_ptr<Layer> layers::make_hashing() { return std::make_shared<HashingLayer>(); }
std::shared_ptr<Layer> layers::make_hashed_crossing() {
  return std::make_shared<HashedCrossingLayer>();
}

}  // namespace tenon::keras
