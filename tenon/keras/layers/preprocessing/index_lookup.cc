#include "tenon/keras/layers/preprocessing/lookup.h"

namespace tenon::keras {

namespace {

// StringLookup and IntegerLookup: tokens to their places in a vocabulary, or back.
class IndexLookupLayer final : public Layer, public layers::HasLookup {
 public:
  explicit IndexLookupLayer(DType keys) : keys_(keys), lookup_(keys) {}
  std::string_view class_name() const override {
    return keys_ == DType::kString ? "StringLookup" : "IntegerLookup";
  }
  bool casts_inputs() const override { return false; }
  layers::Lookup& lookup() override { return lookup_; }
  void fields(ConfigFields& f) override {
    f.field("invert", lookup_.invert);
    f.field("max_tokens", lookup_.max_tokens);
    f.field("num_oov_indices", lookup_.num_oov_indices);
    f.field("oov_token", lookup_.oov_token);
    f.field("mask_token", lookup_.mask_token);
    f.field("output_mode", lookup_.output_mode);
    f.only("sparse", false);
    f.field("pad_to_max_tokens", lookup_.pad_to_max_tokens);
    if (keys_ == DType::kInt64) f.field("vocabulary_dtype", vocabulary_dtype_);
    f.field("idf_weights", lookup_.idf_weights);
    f.field("vocabulary", lookup_.vocabulary);
    f.field("vocabulary_size", lookup_.vocabulary_size);
    f.field("oov_method", lookup_.oov_method);
    f.field("salt", lookup_.salt);
    if (keys_ == DType::kString) f.field("encoding", encoding_);
  }
  Status build(const Shapes& inputs) override {
    if (vocabulary_dtype_ != "int64" && vocabulary_dtype_ != "int32") {
      return invalid_argument("vocabulary_dtype is '", vocabulary_dtype_, "', expected int64");
    }
    TENON_RETURN_IF_ERROR(layers::check_output_mode(lookup_.output_mode, inputs[0]));
    return lookup_.prepare();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    return lookup_.encode(g, lookup_.find(g, inputs[0]));
  }

 private:
  Json describe_build() const override { return Json::object(); }

  DType keys_;
  layers::Lookup lookup_;
  std::string vocabulary_dtype_ = "int64", encoding_ = "utf-8";
};

}  // namespace

std::shared_ptr<Layer> layers::make_string_lookup() {
  return std::make_shared<IndexLookupLayer>(DType::kString);
}
std::shared_ptr<Layer> layers::make_integer_lookup() {
  return std::make_shared<IndexLookupLayer>(DType::kInt64);
}

}  // namespace tenon::keras
