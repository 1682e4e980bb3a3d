// Weights in fewer bits, activations in floats; and what the rounding of weights shares.
#pragma once

#include "tenon/lite/writer/lite_model.h"

namespace tenon::lite {

// Every float32 constant becomes a float16 one with a DEQUANTIZE behind it.
void weights_to_float16(LiteModel& model);

// Weights of convolutions and layers of at least 1024 elements, as TensorFlow's converter does,
// become int8 by channel: kernels round the activations while running.
void weights_to_int8(LiteModel& model);

// The axis of input 1's output channels; -1 where the operator has no weights.
int channel_axis(int builtin);

// Rewrites a float32 constant as int8 levels -127 to 127, which have `scales` along `axis`, or one
// scale in all.
void set_int8_levels(LiteModel& model, schema::TensorT& tensor, const std::vector<float>& scales,
                     int axis);

// The largest magnitude of each slice along `axis`, or of all where that is -1.
std::vector<float> largest_magnitudes(const LiteModel& model, const schema::TensorT& tensor,
                                      int axis);

}  // namespace tenon::lite
