// What the files of layers/ share: how a row of table.cc makes a layer.
#pragma once

#include "tenon/keras/layers.h"

namespace tenon::keras::layers {

using Make = std::shared_ptr<Layer> (*)();

// Each makes a layer with default options, for layer_from_json to fill in.
std::shared_ptr<Layer> make_input();
std::shared_ptr<Layer> make_dense();
std::shared_ptr<Layer> make_activation();
std::shared_ptr<Layer> make_dropout();
std::shared_ptr<Layer> make_flatten();
std::shared_ptr<Layer> make_reshape();
std::shared_ptr<Layer> make_permute();
std::shared_ptr<Layer> make_rescaling();
std::shared_ptr<Layer> make_conv2d();
std::shared_ptr<Layer> make_depthwise_conv2d();
std::shared_ptr<Layer> make_max_pooling2d();
std::shared_ptr<Layer> make_average_pooling2d();
std::shared_ptr<Layer> make_global_average_pooling2d();
std::shared_ptr<Layer> make_global_max_pooling2d();
std::shared_ptr<Layer> make_batch_normalization();
std::shared_ptr<Layer> make_layer_normalization();
std::shared_ptr<Layer> make_relu();
std::shared_ptr<Layer> make_leaky_relu();
std::shared_ptr<Layer> make_softmax();
std::shared_ptr<Layer> make_add();
std::shared_ptr<Layer> make_subtract();
std::shared_ptr<Layer> make_multiply();
std::shared_ptr<Layer> make_average();
std::shared_ptr<Layer> make_maximum();
std::shared_ptr<Layer> make_minimum();
std::shared_ptr<Layer> make_concatenate();
std::shared_ptr<Layer> make_zero_padding2d();
std::shared_ptr<Layer> make_conv1d();
std::shared_ptr<Layer> make_separable_conv2d();
std::shared_ptr<Layer> make_conv2d_transpose();
std::shared_ptr<Layer> make_max_pooling1d();
std::shared_ptr<Layer> make_average_pooling1d();
std::shared_ptr<Layer> make_global_average_pooling1d();
std::shared_ptr<Layer> make_global_max_pooling1d();
std::shared_ptr<Layer> make_embedding();
std::shared_ptr<Layer> make_normalization();
std::shared_ptr<Layer> make_group_normalization();
std::shared_ptr<Layer> make_up_sampling1d();
std::shared_ptr<Layer> make_up_sampling2d();
std::shared_ptr<Layer> make_repeat_vector();
std::shared_ptr<Layer> make_cropping1d();
std::shared_ptr<Layer> make_cropping2d();
std::shared_ptr<Layer> make_zero_padding1d();
std::shared_ptr<Layer> make_lstm_cell();
std::shared_ptr<Layer> make_gru_cell();
std::shared_ptr<Layer> make_simple_rnn_cell();
std::shared_ptr<Layer> make_stacked_rnn_cells();
std::shared_ptr<Layer> make_rnn();
std::shared_ptr<Layer> make_lstm();
std::shared_ptr<Layer> make_gru();
std::shared_ptr<Layer> make_simple_rnn();
std::shared_ptr<Layer> make_bidirectional();
std::shared_ptr<Layer> make_time_distributed();
std::shared_ptr<Layer> make_masking();
std::shared_ptr<Layer> make_einsum_dense();
std::shared_ptr<Layer> make_multi_head_attention();
std::shared_ptr<Layer> make_group_query_attention();
std::shared_ptr<Layer> make_attention();
std::shared_ptr<Layer> make_additive_attention();
std::shared_ptr<Layer> make_unit_normalization();
std::shared_ptr<Layer> make_rms_normalization();
std::shared_ptr<Layer> make_gaussian_noise();
std::shared_ptr<Layer> make_gaussian_dropout();
std::shared_ptr<Layer> make_alpha_dropout();
std::shared_ptr<Layer> make_spatial_dropout1d();
std::shared_ptr<Layer> make_spatial_dropout2d();
std::shared_ptr<Layer> make_spatial_dropout3d();
std::shared_ptr<Layer> make_prelu();
std::shared_ptr<Layer> make_elu();
std::shared_ptr<Layer> make_identity();
std::shared_ptr<Layer> make_conv3d();
std::shared_ptr<Layer> make_depthwise_conv1d();
std::shared_ptr<Layer> make_separable_conv1d();
std::shared_ptr<Layer> make_max_pooling3d();
std::shared_ptr<Layer> make_average_pooling3d();
std::shared_ptr<Layer> make_global_average_pooling3d();
std::shared_ptr<Layer> make_global_max_pooling3d();
std::shared_ptr<Layer> make_up_sampling3d();
std::shared_ptr<Layer> make_cropping3d();
std::shared_ptr<Layer> make_zero_padding3d();
std::shared_ptr<Layer> make_activity_regularization();
std::shared_ptr<Layer> make_dot();
std::shared_ptr<Layer> make_center_crop();
std::shared_ptr<Layer> make_conv1d_transpose();
std::shared_ptr<Layer> make_conv3d_transpose();
std::shared_ptr<Layer> make_category_encoding();
std::shared_ptr<Layer> make_resizing();
std::shared_ptr<Layer> make_discretization();
std::shared_ptr<Layer> make_hashing();
std::shared_ptr<Layer> make_hashed_crossing();
std::shared_ptr<Layer> make_string_lookup();
std::shared_ptr<Layer> make_integer_lookup();
std::shared_ptr<Layer> make_text_vectorization();
std::shared_ptr<Layer> make_feature_concat();
std::shared_ptr<Layer> make_feature_identity();
std::shared_ptr<Layer> make_spectral_normalization();
std::shared_ptr<Layer> make_adaptive_average_pooling1d();
std::shared_ptr<Layer> make_adaptive_average_pooling2d();
std::shared_ptr<Layer> make_adaptive_average_pooling3d();
std::shared_ptr<Layer> make_adaptive_max_pooling1d();
std::shared_ptr<Layer> make_adaptive_max_pooling2d();
std::shared_ptr<Layer> make_adaptive_max_pooling3d();
std::shared_ptr<Layer> make_random_crop();
std::shared_ptr<Layer> make_mel_spectrogram();
std::shared_ptr<Layer> make_stft_spectrogram();
std::shared_ptr<Layer> make_conv_lstm1d();
std::shared_ptr<Layer> make_conv_lstm2d();
std::shared_ptr<Layer> make_conv_lstm3d();

// Adds the state of a random layer; nothing where `rate` is 0.
size_t add_dropout_seed(Layer& layer, double rate, std::optional<int64_t> seed);
// The key of the next draw, as a keras.random.SeedGenerator gives it, whose state goes on; its
// counter goes to `counter`.
Endpoint random_key(Trace& trace, const Weight& state, Endpoint& counter);
// As tf.nn.experimental.stateless_dropout with a keras.random.SeedGenerator: from an equal seed,
// the same elements are dropped. `noise_shape`, int32, is that of the draws; invalid: x's.
Endpoint dropout(Trace& trace, Endpoint x, double rate, const Weight& state,
                 Endpoint noise_shape = {});

// A layer that changes images at random; null where `class_name` is none of them.
std::shared_ptr<Layer> augmentation(std::string_view class_name);

// A model within a model.
StatusOr<std::shared_ptr<Layer>> nested_model(const Json& json, SharedLayers& shared);
// An operation of keras.ops, which functional models hold beside layers; null where `json` is none
// that is known.
std::shared_ptr<Layer> operation(const Json& json);

// What Keras normalises in: float32, or float64 where `dtype` is that.
inline DType at_least_float(DType dtype) {
  return dtype == DType::kDouble ? DType::kDouble : DType::kFloat;
}

// "SAME" for "same", "VALID" for "valid"; anything else fails the trace.
std::string padding_attr(GraphBuilder& build, std::string_view padding);

// The axes, from 0 on, that a config names by an integer or a list of them. INVALID_ARGUMENT for
// anything else, for none, and for one that `rank` does not have or that is named twice.
StatusOr<std::vector<int64_t>> resolve_axes(const Json& axes, int rank);

// INVALID_ARGUMENT when the input has not `rank` dimensions.
Status check_rank(const PartialShape& input, int rank);

// The known size of dimension `axis` (may be negative); INVALID_ARGUMENT when the input has not
// `rank` dimensions or the size is not known.
StatusOr<int64_t> known_dim(const PartialShape& input, int rank, int axis);

// Class numbers `x` (rank 2 and more) as vectors of `depth`: "one_hot", "multi_hot" or "count".
// Numbers outside count for nothing. INVALID_ARGUMENT for another mode or rank.
Status check_encoding(std::string_view mode, const PartialShape& input);
Endpoint encode_categories(GraphBuilder& build, Endpoint x, std::string_view mode, int64_t depth,
                           DType dtype);

// INVALID_ARGUMENT where a size is not above 0 or not below 2^31.
Status check_window(std::string_view name, std::span<const int64_t> sizes);

// An attribute of all dimensions, channels last: {1, sizes..., 1}.
std::vector<int64_t> window_attr(std::span<const int64_t> sizes);
inline std::vector<int64_t> window_attr(std::initializer_list<int64_t> sizes) {
  return window_attr(std::span<const int64_t>(sizes.begin(), sizes.size()));
}

}  // namespace tenon::keras::layers
