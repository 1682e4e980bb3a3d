// Keras' layers, one function each:  Dense({.units = 10, .activation = "softmax"}).
//
// Options have Keras' names and defaults; `name` may be left empty. A layer is one file in layers/
// and one row in layers/table.cc; images are "channels_last".
#pragma once

#include "tenon/keras/layer.h"

namespace tenon::keras {

struct InputOptions {
  PartialShape shape = {};  // without the batch dimension
  DType dtype = DType::kFloat;
  std::string name = {};
  int64_t batch_size = -1;  // -1: any
};
struct DenseOptions {
  int64_t units = 0;
  std::string activation = "linear";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::string name = {};
};
struct DropoutOptions {
  double rate = 0.5;
  std::optional<int64_t> seed = {};
  std::string name = {};
};
struct RescalingOptions {
  double scale = 1.0;
  double offset = 0.0;
  std::string name = {};
};
struct Conv2DOptions {
  int64_t filters = 0;
  std::array<int64_t, 2> kernel_size = {3, 3};
  std::array<int64_t, 2> strides = {1, 1};
  std::string padding = "valid";
  std::array<int64_t, 2> dilation_rate = {1, 1};
  int64_t groups = 1;
  std::string activation = "linear";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::string name = {};
};
struct DepthwiseConv2DOptions {
  std::array<int64_t, 2> kernel_size = {3, 3};
  std::array<int64_t, 2> strides = {1, 1};
  std::string padding = "valid";
  int64_t depth_multiplier = 1;
  std::array<int64_t, 2> dilation_rate = {1, 1};
  std::string activation = "linear";
  bool use_bias = true;
  Initializer depthwise_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::string name = {};
};
struct Conv1DOptions {
  int64_t filters = 0;
  int64_t kernel_size = 3;
  int64_t strides = 1;
  std::string padding = "valid";  // or "same", "causal"
  int64_t dilation_rate = 1;
  int64_t groups = 1;
  std::string activation = "linear";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::string name = {};
};
struct SeparableConv2DOptions {
  int64_t filters = 0;
  std::array<int64_t, 2> kernel_size = {3, 3};
  std::array<int64_t, 2> strides = {1, 1};
  std::string padding = "valid";
  std::array<int64_t, 2> dilation_rate = {1, 1};
  int64_t depth_multiplier = 1;
  std::string activation = "linear";
  bool use_bias = true;
  Initializer depthwise_initializer = "glorot_uniform";
  Initializer pointwise_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::string name = {};
};
struct Conv2DTransposeOptions {
  int64_t filters = 0;
  std::array<int64_t, 2> kernel_size = {3, 3};
  std::array<int64_t, 2> strides = {1, 1};
  std::string padding = "valid";
  std::string activation = "linear";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::string name = {};
};
struct Pooling1DOptions {
  int64_t pool_size = 2;
  int64_t strides = 0;  // 0: as pool_size
  std::string padding = "valid";
  std::string name = {};
};
struct Pooling2DOptions {
  std::array<int64_t, 2> pool_size = {2, 2};
  std::array<int64_t, 2> strides = {0, 0};  // 0: as pool_size
  std::string padding = "valid";
  std::string name = {};
};
struct GlobalPooling2DOptions {
  bool keepdims = false;
  std::string name = {};
};
struct BatchNormalizationOptions {
  int64_t axis = -1;
  double momentum = 0.99;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  std::string name = {};
  bool synchronized = false;  // one mean and variance for the batches of all replicas
};
struct LayerNormalizationOptions {
  int64_t axis = -1;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  std::string name = {};
};
struct GroupNormalizationOptions {
  int64_t groups = 32;  // -1: one for each channel
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  std::string name = {};
};
struct NormalizationOptions {
  bool invert = false;
  Json mean = {}, variance = {};  // a number, or a list of one for each feature; null: weights
  std::string name = {};
};
struct EmbeddingOptions {
  int64_t input_dim = 0;
  int64_t output_dim = 0;
  Initializer embeddings_initializer = "uniform";
  bool mask_zero = false;
  std::string name = {};
};
struct LSTMOptions {
  int64_t units = 0;
  std::string activation = "tanh";
  std::string recurrent_activation = "sigmoid";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer recurrent_initializer = "orthogonal";
  Initializer bias_initializer = "zeros";
  bool unit_forget_bias = true;
  double dropout = 0.0;
  double recurrent_dropout = 0.0;
  std::optional<int64_t> seed = {};
  bool return_sequences = false;
  bool return_state = false;
  bool go_backwards = false;
  bool stateful = false;
  std::string name = {};
};
struct GRUOptions {
  int64_t units = 0;
  std::string activation = "tanh";
  std::string recurrent_activation = "sigmoid";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer recurrent_initializer = "orthogonal";
  Initializer bias_initializer = "zeros";
  double dropout = 0.0;
  double recurrent_dropout = 0.0;
  std::optional<int64_t> seed = {};
  bool return_sequences = false;
  bool return_state = false;
  bool go_backwards = false;
  bool stateful = false;
  bool reset_after = true;
  std::string name = {};
};
struct SimpleRNNOptions {
  int64_t units = 0;
  std::string activation = "tanh";
  bool use_bias = true;
  Initializer kernel_initializer = "glorot_uniform";
  Initializer recurrent_initializer = "orthogonal";
  Initializer bias_initializer = "zeros";
  double dropout = 0.0;
  double recurrent_dropout = 0.0;
  std::optional<int64_t> seed = {};
  bool return_sequences = false;
  bool return_state = false;
  bool go_backwards = false;
  bool stateful = false;
  std::string name = {};
};
struct MultiHeadAttentionOptions {
  int64_t num_heads = 0;
  int64_t key_dim = 0;
  std::optional<int64_t> value_dim = {};  // empty: as key_dim
  double dropout = 0.0;
  bool use_bias = true;
  bool use_gate = false;
  std::optional<int64_t> sliding_window = {};
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::optional<int64_t> seed = {};
  std::string name = {};
};
struct EinsumDenseOptions {
  std::string equation = {};
  std::vector<int64_t> output_shape = {};  // without the batch; -1: as in the input
  std::string activation = "linear";
  std::string bias_axes = {};  // empty: no bias
  Initializer kernel_initializer = "glorot_uniform";
  Initializer bias_initializer = "zeros";
  std::string name = {};
};
struct ReLUOptions {
  std::optional<double> max_value = {};
  double negative_slope = 0.0;
  double threshold = 0.0;
  std::string name = {};
};

// The start of a functional model: KTensor x = Input({.shape = {28, 28}})(). In a Sequential it
// stands first in the list.
struct InputLayerRef : LayerRef {
  using LayerRef::LayerRef;
  operator KTensor() const { return (*this)(std::vector<KTensor>{}); }
};
InputLayerRef Input(InputOptions options);
inline InputLayerRef Input(std::initializer_list<int64_t> shape) {
  return Input(InputOptions{.shape = PartialShape(shape)});
}

LayerRef Dense(DenseOptions options);
LayerRef Activation(std::string_view activation, std::string_view name = "");
LayerRef Dropout(DropoutOptions options = {});
LayerRef Flatten(std::string_view name = "");
LayerRef Reshape(std::vector<int64_t> target_shape, std::string_view name = "");
LayerRef Permute(std::vector<int64_t> dims, std::string_view name = "");
LayerRef Rescaling(RescalingOptions options = {});
LayerRef Conv2D(Conv2DOptions options);
LayerRef DepthwiseConv2D(DepthwiseConv2DOptions options = {});
LayerRef MaxPooling2D(Pooling2DOptions options = {});
LayerRef AveragePooling2D(Pooling2DOptions options = {});
LayerRef GlobalAveragePooling2D(GlobalPooling2DOptions options = {});
LayerRef GlobalMaxPooling2D(GlobalPooling2DOptions options = {});
LayerRef BatchNormalization(BatchNormalizationOptions options = {});
LayerRef LayerNormalization(LayerNormalizationOptions options = {});
LayerRef ReLU(ReLUOptions options = {});
LayerRef LeakyReLU(double negative_slope = 0.3, std::string_view name = "");
LayerRef Softmax(int64_t axis = -1, std::string_view name = "");
LayerRef Add(std::string_view name = "");
LayerRef Subtract(std::string_view name = "");
LayerRef Multiply(std::string_view name = "");
LayerRef Average(std::string_view name = "");
LayerRef Maximum(std::string_view name = "");
LayerRef Minimum(std::string_view name = "");
LayerRef Concatenate(int64_t axis = -1, std::string_view name = "");
LayerRef ZeroPadding2D(std::array<std::array<int64_t, 2>, 2> padding = {{{1, 1}, {1, 1}}},
                       std::string_view name = "");
LayerRef Conv1D(Conv1DOptions options);
LayerRef SeparableConv2D(SeparableConv2DOptions options);
LayerRef Conv2DTranspose(Conv2DTransposeOptions options);
LayerRef MaxPooling1D(Pooling1DOptions options = {});
LayerRef AveragePooling1D(Pooling1DOptions options = {});
LayerRef GlobalAveragePooling1D(GlobalPooling2DOptions options = {});
LayerRef GlobalMaxPooling1D(GlobalPooling2DOptions options = {});
LayerRef Embedding(EmbeddingOptions options);
LayerRef Normalization(NormalizationOptions options = {});
LayerRef GroupNormalization(GroupNormalizationOptions options = {});
LayerRef UpSampling1D(int64_t size = 2, std::string_view name = "");
LayerRef UpSampling2D(std::array<int64_t, 2> size = {2, 2}, std::string_view name = "");
LayerRef RepeatVector(int64_t n, std::string_view name = "");
LayerRef Cropping1D(std::array<int64_t, 2> cropping = {1, 1}, std::string_view name = "");
LayerRef Cropping2D(std::array<std::array<int64_t, 2>, 2> cropping = {{{0, 0}, {0, 0}}},
                    std::string_view name = "");
LayerRef ZeroPadding1D(std::array<int64_t, 2> padding = {1, 1}, std::string_view name = "");

LayerRef LSTM(LSTMOptions options);
LayerRef GRU(GRUOptions options);
LayerRef SimpleRNN(SimpleRNNOptions options);
// `layer` and a copy of it that goes over the steps the other way.
LayerRef Bidirectional(const LayerRef& layer, std::optional<std::string> merge_mode = "concat",
                       std::string_view name = "");
LayerRef TimeDistributed(const LayerRef& layer, std::string_view name = "");
LayerRef Masking(double mask_value = 0.0, std::string_view name = "");
LayerRef EinsumDense(EinsumDenseOptions options);
LayerRef MultiHeadAttention(MultiHeadAttentionOptions options);

LayerRef UnitNormalization(int64_t axis = -1, std::string_view name = "");

// A model that is called like a layer, of calls between tensors or of a list of layers.
LayerRef NestedFunctional(std::vector<KTensor> inputs, std::vector<KTensor> outputs,
                          std::string_view name = "");
LayerRef NestedSequential(std::vector<LayerRef> layers, std::string_view name = "");

// Layers that stand in several places of one file, by Keras' "shared_object_id".
using SharedLayers = std::map<int64_t, std::shared_ptr<Layer>>;

// A layer, or a model within a model, from Keras' JSON ({"class_name", "config", ...}).
// UNIMPLEMENTED names the class and the ones that exist.
StatusOr<std::shared_ptr<Layer>> layer_from_json(const Json& json, SharedLayers& shared);
StatusOr<std::shared_ptr<Layer>> layer_from_json(const Json& json);

}  // namespace tenon::keras
