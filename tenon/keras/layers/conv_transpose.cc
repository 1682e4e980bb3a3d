// Conv1DTranspose and Conv3DTranspose: the gradient of a convolution for its input.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class ConvTransposeLayer final : public Layer {
 public:
  // `rank`: 1 or 3 axes beside rows and channels.
  ConvTransposeLayer(std::string_view class_name, size_t rank)
      : class_name_(class_name), rank_(rank), kernel_size_(rank, 0), strides_(rank, 1) {}
  std::string_view class_name() const override { return class_name_; }
  void fields(ConfigFields& f) override {
    f.field("filters", filters_);
    f.sizes("kernel_size", kernel_size_);
    f.sizes("strides", strides_);
    f.field("padding", padding_);
    f.only("output_padding", nullptr);
    f.only("data_format", "channels_last");
    f.only("dilation_rate", Json(Json::Array(rank_, Json(1))));
    f.activation("activation", activation_);
    f.field("use_bias", use_bias_);
    f.field("kernel_initializer", kernel_initializer_);
    f.field("bias_initializer", bias_initializer_);
    rule_fields(f, {"kernel_regularizer", "bias_regularizer", "activity_regularizer",
                    "kernel_constraint", "bias_constraint"});
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(layers::check_window("kernel_size", kernel_size_));
    TENON_RETURN_IF_ERROR(layers::check_window("strides", strides_));
    if (filters_ <= 0) return invalid_argument("filters is ", filters_, ", expected more than 0");
    const int rank = static_cast<int>(rank_) + 2;
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], rank, -1));
    std::vector<int64_t> kernel = kernel_size_;
    kernel.insert(kernel.end(), {filters_, channels});
    add_weight("kernel", Shape(kernel), kernel_initializer_);
    if (use_bias_) add_weight("bias", {filters_}, bias_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const PartialShape in = g.shape(inputs[0]);
    std::vector<int64_t> size;  // of the output, without rows
    for (size_t axis = 0; axis < rank_; ++axis) {
      size.push_back(layers::transposed_size(g, in[static_cast<int>(axis) + 1], kernel_size_[axis],
                                             strides_[axis], padding_));
    }
    size.push_back(filters_);
    Endpoint x = inputs[0], kernel = trace.read(weight(0));
    const std::string padding = layers::padding_attr(g, padding_);
    if (!g.status().ok()) return {};
    if (rank_ == 1) {
      // One line of an image.
      const Endpoint line = g.scalar<int32_t>(1);
      x = g.op("Conv2DBackpropInput",
               {whole_size(g, x, {1, size[0], size[1]}),
                g.op("ExpandDims", {kernel, g.scalar<int32_t>(0)}), g.op("ExpandDims", {x, line})},
               {{"strides", std::vector<int64_t>{1, 1, strides_[0], 1}}, {"padding", padding}});
    } else {
      x = g.op("Conv3DBackpropInputV2", {whole_size(g, x, size), kernel, x},
               {{"strides", std::vector<int64_t>{1, strides_[0], strides_[1], strides_[2], 1}},
                {"padding", padding}});
    }
    // The shape that is known of the result, for the layers above.
    size.insert(size.begin(), -1);
    x = g.reshape(x, size);
    if (use_bias_) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, activation_, x);
  }

 private:
  // The shape of the output: the rows of `x`, then `size`.
  static Endpoint whole_size(GraphBuilder& g, Endpoint x, const std::vector<int64_t>& size) {
    const Endpoint rows = g.slice(g.shape_of(x), 0, 1);
    return g.concat({rows, g.integers(size)}, 0);
  }

  std::string_view class_name_;
  size_t rank_;
  int64_t filters_ = 0;
  std::vector<int64_t> kernel_size_, strides_;
  std::string padding_ = "valid", activation_ = "linear";
  bool use_bias_ = true;
  Initializer kernel_initializer_ = "glorot_uniform", bias_initializer_ = "zeros";
};

}  // namespace

std::shared_ptr<Layer> layers::make_conv1d_transpose() {
  return std::make_shared<ConvTransposeLayer>("Conv1DTranspose", 1);
}
std::shared_ptr<Layer> layers::make_conv3d_transpose() {
  return std::make_shared<ConvTransposeLayer>("Conv3DTranspose", 3);
}

}  // namespace tenon::keras
