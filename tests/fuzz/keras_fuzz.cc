// Any bytes as the config.json of a .keras file: refused, or a model that can be written again and
// that answers made-up inputs.

#include "tenon/graph/graph.h"
#include "tenon/keras/model.h"
#include "tenon/ops/register_all.h"
#include "tests/fuzz/made_up_inputs.h"

namespace {

// A model whose weights alone fill the machine is no fault of the reader.
constexpr int64_t kMostWeights = 1 << 22;

bool is_small(const tenon::keras::Model& model) {
  double elements = 0;
  for (const tenon::keras::Weight* weight : model.weights()) {
    double product = 1;
    for (int64_t dim : weight->shape.dims()) product *= static_cast<double>(dim);
    elements += product;
  }
  return elements <= kMostWeights;
}

void predict(tenon::keras::Model& model, uint64_t seed) {
  const auto graph = model.forward_graph();
  if (!graph.ok()) return;
  tenon::MadeUpInputs made_up(seed);
  tenon::keras::Inputs inputs;
  for (tenon::NodeId arg : graph->args) {
    const tenon::ValueInfo& info = graph->value({arg, 0});
    const auto value = made_up.tensor(info.dtype, info.shape);
    if (!value) return;
    inputs.push_back(*value);
  }
  (void)model.predict(std::move(inputs)).ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool registered = tenon::register_all_ops(tenon::OpRegistry::global()).ok();
  if (!registered) return 0;
  const auto json = tenon::keras::Json::parse({reinterpret_cast<const char*>(data), size});
  if (!json.ok()) return 0;
  const auto model = tenon::keras::Model::from_json(*json);
  if (!model.ok()) return 0;
  (void)(*model)->to_json().dump();
  (void)(*model)->summary();
  if (is_small(**model)) predict(**model, tenon::seed_of(data, size));
  return 0;
}
