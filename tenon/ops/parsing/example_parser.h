// Parsing of serialized tf.Examples into dense, sparse and ragged features: what ParseExample,
// ParseExampleV2 and ParseSingleExample share.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

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

// Output shapes, in the ops' order; `batch` is the shape of `serialized`.
Status example_output_shapes(ShapeContext& c, const ExampleSpec& spec, const PartialShape& batch);

// Parses input 0 and sets all outputs. INVALID_ARGUMENT names example and key.
Status parse_examples(KernelRun& r, const ExampleSpec& spec, const ExampleKeys& keys);

}  // namespace tenon
