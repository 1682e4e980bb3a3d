// Any bytes as a tf.Example and as a tf.SequenceExample: refused, or every value is read.

#include "tenon/io/example.h"

namespace {

void read_values(const tenon::FeatureView& feature) {
  std::vector<std::string_view> texts;
  std::vector<float> floats;
  std::vector<int64_t> integers;
  (void)feature.append_bytes(texts).ok();
  (void)feature.append_floats(floats).ok();
  (void)feature.append_int64s(integers).ok();
}

void read_all(const tenon::ExampleView& example) {
  for (const auto& entry : example.entries()) read_values(entry.feature);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  tenon::ExampleView example;
  if (example.decode(bytes).ok()) read_all(example);
  tenon::SequenceExampleView sequence;
  if (!sequence.decode(bytes).ok()) return 0;
  read_all(sequence.context());
  for (const auto& entry : sequence.lists()) {
    for (const auto& step : entry.steps) read_values(step);
  }
  return 0;
}
