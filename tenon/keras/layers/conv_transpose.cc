// Conv1DTranspose, Conv2DTranspose and Conv3DTranspose: the gradient of a convolution for its
// input.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class ConvTransposeLayer final : public Layer {
 public:
  // `rank`: axes beside rows and channels, 1 to 3.
  ConvTransposeLayer(std::string_view class_name, size_t rank)
      : class_name_(class_name),
        rank_(rank),
        kernel_size_(rank, 0),
        strides_(rank, 1),
        dilation_rate_(rank, 1) {}
  explicit ConvTransposeLayer(const Conv2DTransposeOptions& o)
      : ConvTransposeLayer("Conv2DTranspose", 2) {
    set_name(o.name);
    filters_ = o.filters;
    kernel_size_.assign(o.kernel_size.begin(), o.kernel_size.end());
    strides_.assign(o.strides.begin(), o.strides.end());
    padding_ = o.padding;
    activation_ = o.activation;
    use_bias_ = o.use_bias;
    kernel_initializer_ = o.kernel_initializer;
    bias_initializer_ = o.bias_initializer;
  }
  std::string_view class_name() const override { return class_name_; }
  void fields(ConfigFields& f) override {
    f.field("filters", filters_);
    f.sizes("kernel_size", kernel_size_);
    f.sizes("strides", strides_);
    f.field("padding", padding_);
    f.field("output_padding", output_padding_);
    f.only("data_format", "channels_last");
    f.sizes("dilation_rate", dilation_rate_);
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
    TENON_RETURN_IF_ERROR(layers::check_window("dilation_rate", dilation_rate_));
    if (filters_ <= 0) return invalid_argument("filters is ", filters_, ", expected more than 0");
    TENON_RETURN_IF_ERROR(check_output_padding());
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
    Endpoint x = inputs[0], kernel = trace.read(weight(0));
    const PartialShape form = result_form(g, g.shape(x));
    if (!g.status().ok()) return {};
    std::vector<int64_t> strides = strides_, dilations = dilation_rate_;
    const bool line = rank_ == 1;
    if (line) {  // of an image
      strides.insert(strides.begin(), 1);
      dilations.insert(dilations.begin(), 1);
    }
    for (std::vector<int64_t>* window : {&strides, &dilations}) {
      window->insert(window->begin(), 1);
      window->push_back(1);
    }
    const Endpoint whole = result_shape(g, x);
    if (line) {
      kernel = g.op("ExpandDims", {kernel, g.scalar<int32_t>(0)});
      x = g.op("ExpandDims", {x, g.scalar<int32_t>(1)});
    }
    x = g.op(rank_ == 3 ? "Conv3DBackpropInputV2" : "Conv2DBackpropInput", {whole, kernel, x},
             {{"strides", strides},
              {"dilations", dilations},
              {"padding", layers::padding_attr(g, padding_)}});
    if (line) x = g.op("Squeeze", {x}, {{"squeeze_dims", std::vector<int64_t>{1}}});
    // The shape that is known of the result, for the layers above.
    x = g.op("EnsureShape", {x}, {{"shape", form}});
    if (use_bias_) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, activation_, x);
  }

 private:
  // Null, or a number for each axis; Keras takes one for all.
  Status check_output_padding() const {
    if (output_padding_.is_null()) return absl::OkStatus();
    const size_t count = output_padding_.items() ? output_padding_.items()->size() : rank_;
    for (size_t axis = 0; axis < rank_; ++axis) {
      const int64_t* padding = padding_of(axis);
      if (count != rank_ || !padding || *padding < 0 || *padding >= strides_[axis]) {
        return invalid_argument("output_padding is ", output_padding_.dump(), ", expected ", rank_,
                                " numbers from 0 to below those of strides");
      }
    }
    return absl::OkStatus();
  }
  const int64_t* padding_of(size_t axis) const {
    const Json::Array* items = output_padding_.items();
    if (!items) return output_padding_.integer();
    return axis < items->size() ? (*items)[axis].integer() : nullptr;
  }

  // The result's size is the input's times the stride, and this.
  int64_t beyond_strides(size_t axis) const {
    const int64_t stride = strides_[axis];
    const int64_t kernel = (kernel_size_[axis] - 1) * dilation_rate_[axis] + 1;
    const int64_t* padding = padding_of(axis);
    if (padding_ != "same")
      return padding ? kernel - stride + *padding : std::max(kernel - stride, int64_t{0});
    return padding ? kernel % 2 - stride + *padding : 0;
  }

  PartialShape result_form(GraphBuilder& g, const PartialShape& in) const {
    PartialShape form = in;
    form.set(in.rank() - 1, filters_);
    for (size_t i = 0; i < rank_; ++i) {
      const int axis = static_cast<int>(i) + 1;
      int64_t size = 0;
      if (in[axis] < 0) continue;
      if (__builtin_mul_overflow(in[axis], strides_[i], &size) ||
          __builtin_add_overflow(size, beyond_strides(i), &size) || size > INT32_MAX) {
        g.fail(invalid_argument("strides ", strides_[i], " make the output too large"));
      }
      form.set(axis, std::max(size, int64_t{0}));
    }
    return form;
  }

  // Of the op's result: that of one line is an image's.
  Endpoint result_shape(GraphBuilder& g, Endpoint x) const {
    const Endpoint from = g.shape_of(x);
    std::vector<int64_t> beyond;
    for (size_t axis = 0; axis < rank_; ++axis) beyond.push_back(beyond_strides(axis));
    const Endpoint sizes =
        g.add(g.mul(g.slice(from, 1, -1), g.integers(strides_)), g.integers(beyond));
    std::vector<Endpoint> parts = {g.slice(from, 0, 1), sizes, g.integers({filters_})};
    if (rank_ == 1) parts.insert(parts.begin() + 1, g.integers({1}));
    return g.concat(std::move(parts), 0);
  }

  std::string_view class_name_;
  size_t rank_;
  int64_t filters_ = 0;
  std::vector<int64_t> kernel_size_, strides_, dilation_rate_;
  Json output_padding_;
  std::string padding_ = "valid", activation_ = "linear";
  bool use_bias_ = true;
  Initializer kernel_initializer_ = "glorot_uniform", bias_initializer_ = "zeros";
};

}  // namespace

LayerRef Conv2DTranspose(Conv2DTransposeOptions options) {
  return std::make_shared<ConvTransposeLayer>(options);
}
std::shared_ptr<Layer> layers::make_conv1d_transpose() {
  return std::make_shared<ConvTransposeLayer>("Conv1DTranspose", 1);
}
std::shared_ptr<Layer> layers::make_conv2d_transpose() {
  return std::make_shared<ConvTransposeLayer>("Conv2DTranspose", 2);
}
std::shared_ptr<Layer> layers::make_conv3d_transpose() {
  return std::make_shared<ConvTransposeLayer>("Conv3DTranspose", 3);
}

}  // namespace tenon::keras
