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

// "SAME" for "same", "VALID" for "valid"; anything else fails the trace.
std::string padding_attr(GraphBuilder& build, std::string_view padding);

// The known size of dimension `axis` (may be negative); INVALID_ARGUMENT when the input has not
// `rank` dimensions or the size is not known.
StatusOr<int64_t> known_dim(const PartialShape& input, int rank, int axis);

// A NHWC attribute list {1, h, w, 1}.
std::vector<int64_t> nhwc(const std::array<int64_t, 2>& hw);

}  // namespace tenon::keras::layers
