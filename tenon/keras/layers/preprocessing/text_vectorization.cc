#include "tenon/keras/layers/preprocessing/lookup.h"

namespace tenon::keras {

namespace {

// Words of rows of different lengths: one list, and where each row begins in it.
struct Rows {
  Endpoint values, splits;
};

// What `standardize` strips.
constexpr std::string_view kPunctuation = R"([!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\'])";

// Numbers from 0 in steps: where rows of one length begin.
Endpoint even_splits(GraphBuilder& g, Endpoint last, Endpoint step) {
  return g.op("Range", {g.scalar<int64_t>(0), g.add(last, g.scalar<int64_t>(1)), step});
}

Endpoint dim(GraphBuilder& g, Endpoint x, int64_t axis) {
  return g.cast(g.dim(x, axis), DType::kInt64);
}

Rows split_at_whitespace(GraphBuilder& g, Endpoint x) {
  const std::vector<Endpoint> split = g.ops("StringSplitV2", {x, g.constant(Tensor::string(""))});
  if (!g.status().ok()) return {};
  const Endpoint rows = g.op(
      "StridedSlice", {split[0], g.integers({0, 0}), g.integers({0, 1}), g.integers({1, 1})},
      {{"begin_mask", int64_t{1}}, {"end_mask", int64_t{1}}, {"shrink_axis_mask", int64_t{2}}});
  const Endpoint lengths =
      g.op("UnsortedSegmentSum", {g.op("OnesLike", {rows}), rows, dim(g, x, 0)});
  const Endpoint ends = g.op("Cumsum", {lengths, g.scalar<int32_t>(0)});
  const Endpoint first = g.constant(Tensor::vector<int64_t>({0}));
  return {split[1], g.concat({first, ends}, 0)};
}

Rows split_characters(GraphBuilder& g, Endpoint x) {
  const std::vector<Endpoint> decoded =
      g.ops("UnicodeDecode", {x}, {{"input_encoding", std::string("UTF-8")}});
  if (!g.status().ok()) return {};
  const Endpoint each = even_splits(g, dim(g, decoded[1], 0), g.scalar<int64_t>(1));
  return {g.op("UnicodeEncode", {decoded[1], each}, {{"output_encoding", std::string("UTF-8")}}),
          decoded[0]};
}

// Texts to the places of their words in a vocabulary, or to histograms of these.
class TextVectorizationLayer final : public Layer, public layers::HasLookup {
 public:
  TextVectorizationLayer() { lookup_.mask_token = ""; }
  std::string_view class_name() const override { return "TextVectorization"; }
  bool casts_inputs() const override { return false; }
  layers::Lookup& lookup() override { return lookup_; }
  std::vector<std::string> weight_groups() const override { return {"", "/_lookup_layer"}; }
  void fields(ConfigFields& f) override {
    f.field("max_tokens", lookup_.max_tokens);
    f.field("standardize", standardize_);
    f.field("split", split_);
    f.field("ngrams", ngrams_);
    f.field("output_mode", lookup_.output_mode);
    f.field("output_sequence_length", output_sequence_length_);
    f.field("pad_to_max_tokens", lookup_.pad_to_max_tokens);
    f.only("sparse", false);
    f.only("ragged", false);
    f.field("vocabulary", lookup_.vocabulary);
    f.field("idf_weights", lookup_.idf_weights);
    f.field("encoding", encoding_);
    f.field("vocabulary_size", lookup_.vocabulary_size);
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(check_options());
    const PartialShape& shape = inputs[0];
    const bool splits = !split_.is_null();
    if (splits ? shape.rank() > 2 || (shape.rank() == 2 && shape[1] != 1) : shape.rank() != 2) {
      return invalid_argument(
          "the input has shape ", shape, ", expected ",
          splits ? "rank 1, or 1 for its last dimension" : "rank 2 where texts are not split");
    }
    if (splits && lookup_.output_mode == "one_hot") {
      return unimplemented("output_mode is 'one_hot' for texts that are split");
    }
    return lookup_.prepare();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    if (g.dtype(inputs[0]) != DType::kString) {
      g.fail(invalid_argument("the input is of dtype ", g.dtype(inputs[0]), ", expected string"));
      return {};
    }
    const Endpoint x = standardized(g, inputs[0]);
    const bool pads = output_sequence_length_.has_value() && lookup_.output_mode == "int";
    if (split_.is_null() && widths_.empty() && !pads) {
      return lookup_.encode(g, lookup_.find(g, x));
    }
    Rows rows = words(g, x);
    if (!widths_.empty()) rows = ngrams(g, rows);
    const Endpoint places = lookup_.find(g, rows.values);
    if (lookup_.output_mode != "int") return lookup_.encode_rows(g, places, rows.splits);
    const Tensor shape = Tensor::vector<int64_t>({-1, output_sequence_length_.value_or(-1)});
    return g.op("RaggedTensorToTensor",
                {g.constant(shape), places, g.scalar<int64_t>(0), rows.splits},
                {{"num_row_partition_tensors", int64_t{1}},
                 {"row_partition_types", std::vector<std::string>{"ROW_SPLITS"}}});
  }

 private:
  Status check_options() {
    const auto is = [](const Json& json, std::initializer_list<std::string_view> names) {
      return json.is_null() || (json.string() && std::find(names.begin(), names.end(),
                                                           *json.string()) != names.end());
    };
    if (!is(standardize_, {"lower_and_strip_punctuation", "lower", "strip_punctuation"})) {
      return unimplemented("'standardize' is ", standardize_.dump().substr(0, 200),
                           "; functions of users are not implemented");
    }
    if (!is(split_, {"whitespace", "character"})) {
      return unimplemented("'split' is ", split_.dump().substr(0, 200),
                           "; functions of users are not implemented");
    }
    widths_.clear();
    if (const int64_t* most = ngrams_.integer(); most && *most >= 1 && *most <= kMostWidths) {
      for (int64_t width = 1; width <= *most; ++width) widths_.push_back(width);
    } else if (!ngrams_.is_null()) {
      for (const Json& width : ngrams_.items() ? *ngrams_.items() : Json::Array{nullptr}) {
        if (!width.integer() || *width.integer() < 1) {
          return invalid_argument("'ngrams' is ", ngrams_.dump(), ", expected integers above 0");
        }
        widths_.push_back(*width.integer());
      }
    }
    if (output_sequence_length_ && *output_sequence_length_ < 0) {
      return invalid_argument("output_sequence_length is ", *output_sequence_length_);
    }
    return absl::OkStatus();
  }

  Endpoint standardized(GraphBuilder& g, Endpoint x) const {
    const std::string how = standardize_.string() ? *standardize_.string() : "";
    if (how.starts_with("lower")) x = g.op("StringLower", {x});
    if (!how.ends_with("strip_punctuation")) return x;
    return g.op("StaticRegexReplace", {x},
                {{"pattern", std::string(kPunctuation)}, {"rewrite", std::string()}});
  }

  Rows words(GraphBuilder& g, Endpoint x) const {
    if (split_.is_null()) {
      const Endpoint rows = dim(g, x, 0), width = dim(g, x, 1);
      // Where rows are empty, there are as many beginnings all the same.
      const Endpoint each = even_splits(g, rows, g.scalar<int64_t>(1));
      return {g.reshape(x, g.integers({-1})), g.mul(each, width)};
    }
    if (g.shape(x).rank() == 2) x = g.reshape(x, g.integers({-1}));
    return split_ == Json("character") ? split_characters(g, x) : split_at_whitespace(g, x);
  }

  Rows ngrams(GraphBuilder& g, const Rows& rows) const {
    const std::vector<Endpoint> made = g.ops("StringNGrams", {rows.values, rows.splits},
                                             {{"separator", std::string(" ")},
                                              {"ngram_widths", widths_},
                                              {"left_pad", std::string()},
                                              {"right_pad", std::string()},
                                              {"pad_width", int64_t{0}},
                                              {"preserve_short_sequences", false}});
    return g.status().ok() ? Rows{made[0], made[1]} : Rows();
  }

  static constexpr int64_t kMostWidths = 1000;

  layers::Lookup lookup_{DType::kString};
  Json standardize_ = "lower_and_strip_punctuation", split_ = "whitespace", ngrams_;
  std::optional<int64_t> output_sequence_length_;
  std::string encoding_ = "utf-8";
  std::vector<int64_t> widths_;
};

}  // namespace

std::shared_ptr<Layer> layers::make_text_vectorization() {
  return std::make_shared<TextVectorizationLayer>();
}

}  // namespace tenon::keras
