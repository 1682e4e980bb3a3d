#include "tenon/keras/layers/builtin.h"
#include "tenon/keras/object_config.h"

namespace tenon::keras {

namespace {

struct LayerRow {
  std::string_view class_name;
  layers::Make make;
  bool takes_whole_numbers = false;  // as dtype policy: int32 and int64
};

// Every layer there is. Adding one is a file and a row.
constexpr LayerRow kLayers[] = {
    {"InputLayer", layers::make_input},
    {"Dense", layers::make_dense},
    {"Activation", layers::make_activation},
    {"Dropout", layers::make_dropout},
    {"Flatten", layers::make_flatten},
    {"Reshape", layers::make_reshape},
    {"Permute", layers::make_permute},
    {"Rescaling", layers::make_rescaling},
    {"Conv2D", layers::make_conv2d},
    {"DepthwiseConv2D", layers::make_depthwise_conv2d},
    {"MaxPooling2D", layers::make_max_pooling2d},
    {"AveragePooling2D", layers::make_average_pooling2d},
    {"GlobalAveragePooling2D", layers::make_global_average_pooling2d},
    {"GlobalMaxPooling2D", layers::make_global_max_pooling2d},
    {"BatchNormalization", layers::make_batch_normalization},
    {"LayerNormalization", layers::make_layer_normalization},
    {"ReLU", layers::make_relu},
    {"LeakyReLU", layers::make_leaky_relu},
    {"Softmax", layers::make_softmax},
    {"Add", layers::make_add},
    {"Subtract", layers::make_subtract},
    {"Multiply", layers::make_multiply},
    {"Average", layers::make_average},
    {"Maximum", layers::make_maximum},
    {"Minimum", layers::make_minimum},
    {"Concatenate", layers::make_concatenate},
    {"ZeroPadding2D", layers::make_zero_padding2d},
    {"Conv1D", layers::make_conv1d},
    {"SeparableConv2D", layers::make_separable_conv2d},
    {"Conv2DTranspose", layers::make_conv2d_transpose},
    {"MaxPooling1D", layers::make_max_pooling1d},
    {"AveragePooling1D", layers::make_average_pooling1d},
    {"GlobalAveragePooling1D", layers::make_global_average_pooling1d},
    {"GlobalMaxPooling1D", layers::make_global_max_pooling1d},
    {"Embedding", layers::make_embedding},
    {"Normalization", layers::make_normalization},
    {"GroupNormalization", layers::make_group_normalization},
    {"UpSampling1D", layers::make_up_sampling1d},
    {"UpSampling2D", layers::make_up_sampling2d},
    {"RepeatVector", layers::make_repeat_vector},
    {"Cropping1D", layers::make_cropping1d},
    {"Cropping2D", layers::make_cropping2d},
    {"ZeroPadding1D", layers::make_zero_padding1d},
    {"LSTMCell", layers::make_lstm_cell},
    {"GRUCell", layers::make_gru_cell},
    {"SimpleRNNCell", layers::make_simple_rnn_cell},
    {"StackedRNNCells", layers::make_stacked_rnn_cells},
    {"RNN", layers::make_rnn},
    {"LSTM", layers::make_lstm},
    {"GRU", layers::make_gru},
    {"SimpleRNN", layers::make_simple_rnn},
    {"Bidirectional", layers::make_bidirectional},
    {"TimeDistributed", layers::make_time_distributed},
    {"Masking", layers::make_masking},
    {"EinsumDense", layers::make_einsum_dense},
    {"MultiHeadAttention", layers::make_multi_head_attention},
    {"GroupQueryAttention", layers::make_group_query_attention},
    {"Attention", layers::make_attention},
    {"AdditiveAttention", layers::make_additive_attention},
    {"UnitNormalization", layers::make_unit_normalization},
    {"RMSNormalization", layers::make_rms_normalization},
    {"GaussianNoise", layers::make_gaussian_noise},
    {"GaussianDropout", layers::make_gaussian_dropout},
    {"AlphaDropout", layers::make_alpha_dropout},
    {"SpatialDropout1D", layers::make_spatial_dropout1d},
    {"SpatialDropout2D", layers::make_spatial_dropout2d},
    {"SpatialDropout3D", layers::make_spatial_dropout3d},
    {"PReLU", layers::make_prelu},
    {"ELU", layers::make_elu},
    {"Identity", layers::make_identity},
    {"Conv3D", layers::make_conv3d},
    {"DepthwiseConv1D", layers::make_depthwise_conv1d},
    {"SeparableConv1D", layers::make_separable_conv1d},
    {"MaxPooling3D", layers::make_max_pooling3d},
    {"AveragePooling3D", layers::make_average_pooling3d},
    {"GlobalAveragePooling3D", layers::make_global_average_pooling3d},
    {"GlobalMaxPooling3D", layers::make_global_max_pooling3d},
    {"UpSampling3D", layers::make_up_sampling3d},
    {"Cropping3D", layers::make_cropping3d},
    {"ZeroPadding3D", layers::make_zero_padding3d},
    {"ActivityRegularization", layers::make_activity_regularization},
    {"Dot", layers::make_dot},
    {"CenterCrop", layers::make_center_crop},
    {"Conv1DTranspose", layers::make_conv1d_transpose},
    {"Conv3DTranspose", layers::make_conv3d_transpose},
    {"CategoryEncoding", layers::make_category_encoding},
    {"Resizing", layers::make_resizing},
    {"Discretization", layers::make_discretization},
    {"Hashing", layers::make_hashing, true},
    {"HashedCrossing", layers::make_hashed_crossing, true},
    {"StringLookup", layers::make_string_lookup},
    {"IntegerLookup", layers::make_integer_lookup},
    {"TextVectorization", layers::make_text_vectorization},
    {"TFDConcat", layers::make_feature_concat},
    {"TFDIdentity", layers::make_feature_identity},
    {"SpectralNormalization", layers::make_spectral_normalization},
    {"AdaptiveAveragePooling1D", layers::make_adaptive_average_pooling1d},
    {"AdaptiveAveragePooling2D", layers::make_adaptive_average_pooling2d},
    {"AdaptiveAveragePooling3D", layers::make_adaptive_average_pooling3d},
    {"AdaptiveMaxPooling1D", layers::make_adaptive_max_pooling1d},
    {"AdaptiveMaxPooling2D", layers::make_adaptive_max_pooling2d},
    {"AdaptiveMaxPooling3D", layers::make_adaptive_max_pooling3d},
    {"RandomCrop", layers::make_random_crop},
    {"MelSpectrogram", layers::make_mel_spectrogram},
    {"STFTSpectrogram", layers::make_stft_spectrogram},
    {"ConvLSTM1D", layers::make_conv_lstm1d},
    {"ConvLSTM2D", layers::make_conv_lstm2d},
    {"ConvLSTM3D", layers::make_conv_lstm3d},
};

StatusOr<DTypePolicy> policy_from_json(const Json& dtype, bool takes_whole_numbers) {
  if (dtype.is_null()) return DTypePolicy();
  TENON_ASSIGN_OR_RETURN(const ObjectConfig policy, object_config(ObjectKind::kDTypePolicy, dtype));
  const std::string name = policy.config ? policy.config->text("name") : policy.name;
  if (takes_whole_numbers && (name == "int32" || name == "int64")) {
    const DType whole = name == "int32" ? DType::kInt32 : DType::kInt64;
    return DTypePolicy{name, whole, whole};
  }
  return DTypePolicy::of(name);
}

StatusOr<std::shared_ptr<Layer>> read_layer(const Json& json, SharedLayers& shared) {
  const std::string kind = json.text("class_name");
  if ((kind == "Sequential" || kind == "Functional" || kind == "Model") &&
      object_config(ObjectKind::kModel, json).ok()) {
    return layers::nested_model(json, shared);
  }
  if (std::shared_ptr<Layer> operation = layers::operation(json)) return operation;
  TENON_ASSIGN_OR_RETURN(const ObjectConfig object, object_config(ObjectKind::kLayer, json));
  const std::string& class_name = object.name;
  const Json& config = json["config"];
  const LayerRow* row = nullptr;
  for (const LayerRow& known : kLayers) {
    if (known.class_name == class_name) row = &known;
  }
  std::shared_ptr<Layer> layer = row ? row->make() : layers::augmentation(class_name);
  if (!layer) {
    std::vector<std::string_view> names;
    for (const LayerRow& known : kLayers) names.push_back(known.class_name);
    return unimplemented("layer class '", class_name, "' (layer '", config.text("name"),
                         "') is not implemented; there are ", join(names, ", "),
                         " and those that augment images");
  }
  const std::string who = cat("layer '", config.text("name"), "' (", class_name, ")");
  bool trainable = true;
  Json own = Json::object();
  for (const auto& [name, value] : config.members() ? *config.members() : Json::Object()) {
    if (name == "name") {
      if (!value.string()) return invalid_argument(who, ": 'name' is no text");
      layer->set_name(*value.string());
    } else if (name == "trainable") {
      if (!value.boolean()) return invalid_argument(who, ": 'trainable' is neither true nor false");
      trainable = *value.boolean();
    } else if (name == "dtype" && class_name != "InputLayer") {
      StatusOr<DTypePolicy> policy = policy_from_json(value, row && row->takes_whole_numbers);
      if (!policy.ok()) return with_context(policy.status(), who);
      layer->set_policy(*std::move(policy));
    } else {
      own.append(name, value);
    }
  }
  TENON_RETURN_IF_ERROR(layer->read_options(std::move(own)));
  if (!trainable) layer->set_trainable(false);
  return layer;
}

}  // namespace

StatusOr<std::shared_ptr<Layer>> layer_from_json(const Json& json, SharedLayers& shared) {
  const int64_t* identity = json["shared_object_id"].integer();
  if (identity) {
    if (const auto it = shared.find(*identity); it != shared.end()) return it->second;
  }
  TENON_ASSIGN_OR_RETURN(std::shared_ptr<Layer> layer, read_layer(json, shared));
  if (identity) shared[*identity] = layer;
  return layer;
}

StatusOr<std::shared_ptr<Layer>> layer_from_json(const Json& json) {
  SharedLayers shared;
  return layer_from_json(json, shared);
}

namespace layers {

std::string padding_attr(GraphBuilder& build, std::string_view padding) {
  if (padding == "same") return "SAME";
  if (padding != "valid") {
    build.fail(invalid_argument("padding is '", padding, "', expected 'same' or 'valid'"));
  }
  return "VALID";
}

StatusOr<std::vector<int64_t>> resolve_axes(const Json& axes, int rank) {
  const auto* list = axes.items();
  std::vector<int64_t> resolved;
  for (const Json& axis : list ? std::span<const Json>(*list) : std::span<const Json>(&axes, 1)) {
    if (!axis.integer()) {
      return invalid_argument("axis is ", axes.dump(), ", expected an integer or a list of them");
    }
    TENON_ASSIGN_OR_RETURN(const int at, resolve_axis(*axis.integer(), rank));
    if (std::find(resolved.begin(), resolved.end(), at) != resolved.end()) {
      return invalid_argument("axis is ", axes.dump(), ", which names axis ", at, " twice");
    }
    resolved.push_back(at);
  }
  if (resolved.empty()) return invalid_argument("axis is an empty list");
  return resolved;
}

Status check_rank(const PartialShape& input, int rank) {
  if (input.rank() == rank) return absl::OkStatus();
  return invalid_argument("the input has shape ", input, ", expected ", rank, " dimensions");
}

StatusOr<int64_t> known_dim(const PartialShape& input, int rank, int axis) {
  if (rank >= 0) TENON_RETURN_IF_ERROR(check_rank(input, rank));
  TENON_ASSIGN_OR_RETURN(const int at, resolve_axis(axis, input.rank()));
  if (input[at] < 0) {
    return invalid_argument("dimension ", axis, " of the input ", input, " must be known");
  }
  return input[at];
}

std::vector<int64_t> window_attr(std::span<const int64_t> sizes) {
  std::vector<int64_t> whole(sizes.size() + 2, 1);
  std::copy(sizes.begin(), sizes.end(), whole.begin() + 1);
  return whole;
}

Status check_window(std::string_view name, std::span<const int64_t> sizes) {
  const bool fits = std::all_of(sizes.begin(), sizes.end(),
                                [](int64_t size) { return size > 0 && size <= INT32_MAX; });
  if (fits) return absl::OkStatus();
  return invalid_argument(name, " is (", join(sizes, ", "),
                          "), expected numbers above 0, below 2^31");
}

}  // namespace layers

}  // namespace tenon::keras
