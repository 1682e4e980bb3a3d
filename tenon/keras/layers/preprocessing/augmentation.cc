#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

struct AugmentationRow {
  std::string_view class_name;
  bool casts;                // integers come out in the dtype that the layer computes in
  std::string_view options;  // Keras' names
};

constexpr AugmentationRow kAugmentations[] = {
    {"RandomFlip", true, "seed mode"},
    {"RandomRotation", true, "factor fill_mode fill_value interpolation seed"},
    {"RandomZoom", true, "height_factor width_factor fill_mode interpolation seed fill_value"},
    {"RandomTranslation", true,
     "height_factor width_factor fill_mode interpolation seed fill_value"},
    {"RandomShear", true, "x_factor y_factor fill_mode interpolation seed fill_value"},
    {"RandomPerspective", true, "factor scale interpolation fill_value seed"},
    {"RandomElasticTransform", true,
     "factor scale interpolation fill_mode fill_value value_range seed"},
    {"RandomErasing", true, "factor scale fill_value value_range seed"},
    {"RandomGaussianBlur", true, "factor kernel_size sigma value_range seed"},
    {"RandomContrast", false, "factor value_range seed"},
    {"RandomBrightness", false, "factor value_range seed"},
    {"RandomHue", false, "factor value_range seed"},
    {"RandomSaturation", false, "factor value_range seed"},
    {"RandomSharpness", false, "factor value_range seed"},
    {"RandomInvert", false, "factor value_range seed"},
    {"RandomPosterization", false, "factor value_range seed"},
    {"RandomColorDegeneration", false, "factor value_range seed"},
    {"RandomColorJitter", false,
     "value_range brightness_factor contrast_factor saturation_factor hue_factor seed"},
    {"RandomGrayscale", false, "factor seed"},
    {"AugMix", true, "value_range num_chains chain_depth factor alpha all_ops interpolation seed"},
    {"RandAugment", true, "value_range num_ops factor interpolation seed"},
    {"MixUp", false, "alpha seed"},
    {"CutMix", true, "factor seed"},
};

// Layers that change images at random in training, and hand them on otherwise. Training with one is
// UNIMPLEMENTED; its options are kept as they stand in the file.
class AugmentationLayer final : public Layer {
 public:
  explicit AugmentationLayer(const AugmentationRow& row) : row_(row) {
    std::string_view rest = row.options;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(' '), rest.size());
      names_.push_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    values_.resize(names_.size());
  }
  std::string_view class_name() const override { return row_.class_name; }
  bool casts_inputs() const override { return row_.casts; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"data"};
    return kParameters;
  }
  void fields(ConfigFields& f) override {
    f.only("data_format", "channels_last");
    for (size_t i = 0; i < names_.size(); ++i) f.field(names_[i], values_[i]);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    if (trace.training()) {
      g.fail(unimplemented("training with ", row_.class_name,
                           " is not implemented; inference is, where it does nothing"));
      return {};
    }
    return row_.casts ? g.cast(inputs[0], policy().compute) : inputs[0];
  }

 private:
  const AugmentationRow& row_;
  std::vector<std::string_view> names_;
  std::vector<Json> values_;
};

}  // namespace

std::shared_ptr<Layer> layers::augmentation(std::string_view class_name) {
  for (const AugmentationRow& row : kAugmentations) {
    if (row.class_name == class_name) return std::make_shared<AugmentationLayer>(row);
  }
  return nullptr;
}

}  // namespace tenon::keras
