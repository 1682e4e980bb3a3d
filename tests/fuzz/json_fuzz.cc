// Any bytes as the body of a REST predict: refused, or parsed into tensors that can be answered
// with. And as that of an inference of the Open Inference Protocol.

#include "tenon/base/out_of_memory.h"
#include "tenon/serving/json/json_predict.h"
#include "tenon/serving/open_inference/infer_json.h"

namespace {

using tenon::DType;

// The byte before the body chooses what the signature takes.
const std::vector<tenon::serving::TensorSpec>& specs_of(uint8_t choice) {
  static const std::vector<tenon::serving::TensorSpec> kSpecs[] = {
      {{"x", DType::kFloat, {}}},
      {{"x", DType::kInt64, {}}, {"y", DType::kString, {}}},
      {{"x", DType::kHalf, {}}, {"y", DType::kBfloat16, {}}},
      {{"x", DType::kBool, {}}, {"y", DType::kUint8, {}}, {"z_bytes", DType::kString, {}}},
  };
  return kSpecs[choice % std::size(kSpecs)];
}

// Of the Open Inference Protocol: the text alone, or with bytes behind its last brace.
void infer(std::string_view body) {
  const size_t brace = body.rfind('}');
  for (const auto json_bytes : {std::optional<size_t>(), std::optional(brace + 1)}) {
    (void)tenon::or_out_of_memory([&]() -> tenon::Status {
      return tenon::serving::parse_infer_request(body, json_bytes).status();
    }).ok();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto& specs = specs_of(data[0]);
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  infer(body);
  const auto request = tenon::serving::parse_predict_request(
      body, [&](std::string_view) -> tenon::StatusOr<std::span<const tenon::serving::TensorSpec>> {
        return specs;
      });
  if (!request.ok()) return 0;
  std::vector<tenon::serving::NamedTensor> outputs;
  for (size_t i = 0; i < request->inputs.size(); ++i) {
    if (request->inputs[i].has_value()) outputs.push_back({specs[i].name, &request->inputs[i]});
  }
  (void)tenon::serving::write_predict_response(request->format, outputs).ok();
  return 0;
}
