// Parsing of serialized tf.Examples into dense, sparse and ragged features: what ParseExample,
// ParseExampleV2, ParseSingleExample and, for contexts, the ParseSequenceExamples share.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

class ExampleView;  // tenon/io/example.h

struct DenseFeature {
  DType dtype = DType::kInvalid;
  PartialShape shape;  // of one example; dimension 0 may be unknown: padded to the longest
  bool variable_length = false;
  int64_t elements = 0;   // of one example, or of one step when variable_length
  int default_input = 0;  // no elements: the feature is required
};

// All but the features' names, which are inputs of the node in some versions of the op.
struct ExampleSpec {
  std::vector<DType> sparse;
  std::vector<DenseFeature> dense;
  std::vector<DType> ragged;
  std::vector<DType> ragged_splits;
};

struct ExampleKeys {
  std::vector<std::string_view> sparse, dense, ragged;
};

// From the attributes of the op; `first_default` is the input of the first default value.
// INVALID_ARGUMENT for shapes that cannot be parsed into.
StatusOr<ExampleSpec> example_spec(const AttrMap& attrs, int first_default);

// Names of the attributes that hold dtypes and shapes.
struct ExampleAttrs {
  std::string_view sparse, dense, dense_shapes, ragged, ragged_splits;
};
StatusOr<ExampleSpec> example_spec_of(const AttrMap& attrs, int first_default,
                                      const ExampleAttrs& names);

// Output shapes, in the ops' order; `batch` is the shape of `serialized`.
Status example_output_shapes(ShapeContext& c, const ExampleSpec& spec, const PartialShape& batch);

// Parses input 0 and sets all outputs. INVALID_ARGUMENT names example and key.
Status parse_examples(KernelRun& r, const ExampleSpec& spec, const ExampleKeys& keys);

// The same of decoded examples, which view into the characters of `serialized`, a kept tensor.
Status parse_features(KernelRun& r, const ExampleSpec& spec, const ExampleKeys& keys,
                      const Tensor& serialized, std::span<const ExampleView* const> examples);

// Adds the elements of a string tensor, which must outlive the keys.
inline void append_keys(const Tensor& tensor, std::vector<std::string_view>& keys) {
  const auto texts = tensor.span<std::string_view>();
  keys.insert(keys.end(), texts.begin(), texts.end());
}

}  // namespace tenon
