#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class InputLayer final : public Layer {
 public:
  explicit InputLayer(InputOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "InputLayer"; }
  void fields(ConfigFields& f) override {
    Json shape{Json::Array()};
    shape.push(o_.batch_size < 0 ? Json() : Json(o_.batch_size));
    for (int64_t dim : o_.shape.dims()) shape.push(dim < 0 ? Json() : Json(dim));
    std::string dtype(info(o_.dtype).name);
    f.field("batch_shape", shape);
    f.field("dtype", dtype);
    f.only("sparse", false);
    f.only("ragged", false);
    if (StatusOr<PartialShape> read = shape_from_json(shape); read.ok() && read->rank() > 0) {
      o_.shape = PartialShape(read->dims().subspan(1));
      o_.batch_size = (*read)[0];
    }
    o_.dtype = parse_dtype(dtype).value_or(DType::kInvalid);
  }
  // Of an input, that is its one symbolic tensor.
  Status build(const Shapes&) override { return absl::OkStatus(); }
  Outputs call(Trace& trace, const Arguments&) override {
    std::vector<int64_t> dims = {o_.batch_size};
    dims.insert(dims.end(), o_.shape.dims().begin(), o_.shape.dims().end());
    if (o_.dtype == DType::kInvalid) trace.build().fail(invalid_argument("dtype is not known"));
    return trace.build().arg(name().empty() ? "input" : name(), o_.dtype, PartialShape(dims));
  }
  Json describe() const override {
    Json config = write_config(*this);
    config.set("name", name());
    config.set("optional", false);
    return Json::object({{"module", "keras.layers"},
                         {"class_name", class_name()},
                         {"config", std::move(config)},
                         {"registered_name", nullptr}});
  }

 private:
  InputOptions o_;
};

}  // namespace

InputLayerRef Input(InputOptions options) {
  return InputLayerRef(std::make_shared<InputLayer>(std::move(options)));
}
std::shared_ptr<Layer> layers::make_input() { return std::make_shared<InputLayer>(InputOptions{}); }

}  // namespace tenon::keras
