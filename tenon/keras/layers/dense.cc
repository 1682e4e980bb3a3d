#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class DenseLayer final : public Layer {
 public:
  explicit DenseLayer(DenseOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Dense"; }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("units", o_.units);
    f.activation("activation", o_.activation);
    f.field("use_bias", o_.use_bias);
    f.field("kernel_initializer", o_.kernel_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f,
                {"kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"});
    f.none({"quantization_config"});
  }
  Status build(const Shapes& inputs) override {
    if (o_.units <= 0) return invalid_argument("units is ", o_.units, ", expected more than 0");
    if (inputs[0].rank() < 2) {
      return invalid_argument("the input has shape ", inputs[0], ", expected 2 dimensions or more");
    }
    TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], -1, -1));
    add_weight("kernel", {width, o_.units}, o_.kernel_initializer);
    if (o_.use_bias) add_weight("bias", {o_.units}, o_.bias_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    // A dense layer on more than two dimensions works on rows; the others are put back after.
    const int rank = g.shape(inputs[0]).rank();
    const int64_t width = rank > 0 ? g.shape(inputs[0])[rank - 1] : -1;
    if (width >= 0 && width != weight(0).shape[0]) {
      g.fail(invalid_argument("the input has shape ", g.shape(inputs[0]), ", the kernel takes ",
                              weight(0).shape[0], " features"));
      return {};
    }
    Endpoint x = inputs[0];
    if (rank > 2) x = g.reshape(x, g.integers({-1, weight(0).shape[0]}));
    x = g.matmul(x, trace.read(weight(0)));
    if (o_.use_bias) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    if (rank > 2) {
      std::vector<int64_t> dims(g.shape(inputs[0]).dims().begin(), g.shape(inputs[0]).dims().end());
      dims.back() = o_.units;
      dims[0] = -1;
      x = g.reshape(x, dims);
    }
    return activate(g, o_.activation, x);
  }

 private:
  DenseOptions o_;
};

}  // namespace

LayerRef Dense(DenseOptions options) { return std::make_shared<DenseLayer>(std::move(options)); }
std::shared_ptr<Layer> layers::make_dense() { return std::make_shared<DenseLayer>(DenseOptions{}); }

}  // namespace tenon::keras
