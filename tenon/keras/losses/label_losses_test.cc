// Losses of class numbers beside Keras (tests/keras/make_loss_cases.py): values and gradients.
#include <cmath>

#include "tenon/graph/gradient.h"
#include "tenon/keras/loss.h"
#include "tenon/keras/reference_test.h"
#include "tenon/runtime/executable.h"

namespace tenon::keras {
namespace {

template <class T>
Tensor array_of(const Json& json) {
  Shape shape;
  for (const Json& dim : *json["shape"].items()) shape.append(*dim.integer());
  Tensor tensor(dtype_of<T>, shape);
  int64_t at = 0;
  for (const Json& value : *json["values"].items()) {
    tensor.mutable_data<T>()[at++] = static_cast<T>(*value.number());
  }
  return tensor;
}

// The loss and its gradient with respect to the predictions.
StatusOr<std::vector<Tensor>> loss_and_gradient(const Json& c, int team, bool open_rows) {
  TENON_ASSIGN_OR_RETURN(const LossPtr loss, loss_from_json(c["loss"]));
  std::vector<Tensor> args = {array_of<int64_t>(c["y_true"]), array_of<float>(c["y_pred"])};
  if (!c["weight"].is_null()) args.push_back(array_of<float>(c["weight"]));
  Graph graph;
  GraphBuilder g(graph);
  std::vector<Endpoint> values;
  for (const Tensor& arg : args) {
    PartialShape shape(arg.shape());
    if (open_rows) shape.set(0, -1);
    values.push_back(g.arg(cat("arg_", values.size()), arg.dtype(), shape));
  }
  const Endpoint losses[] = {
      (*loss)(g, values[0], values[1], values.size() > 2 ? values[2] : Endpoint())};
  TENON_RETURN_IF_ERROR(g.status());
  const Endpoint wanted[] = {values[1]};
  TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> found, gradients(graph, losses, {}, wanted));
  graph.results = {losses[0], found[0]};
  graph.result_names = {"loss", "gradient"};
  ExecutableOptions options;
  options.team = team;
  TENON_ASSIGN_OR_RETURN(
      const auto step,
      Executable::create(std::move(graph), std::make_shared<ModelState>(), options));
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(step->run(args, results));
  return results;
}

TEST(LabelLosses, ValuesAndGradientsAreKeras) {
  const Json cases = testdata_json("label_losses.json");
  ASSERT_TRUE(cases.items());
  ASSERT_GE(cases.items()->size(), 10u);
  for (const Json& c : *cases.items()) {
    for (const bool open_rows : {false, true}) {
      for (const int team : {1, 7, 32}) {
        const std::string what = c["loss"].dump();
        const auto results = loss_and_gradient(c, team, open_rows);
        ASSERT_TRUE(results.ok()) << what << ": " << results.status();
        const double value = *c["value"].number();
        EXPECT_NEAR(*(*results)[0].data<float>(), value, 2e-6 * (1 + std::abs(value))) << what;
        const Tensor expected = array_of<float>(c["gradient"]);
        ASSERT_EQ((*results)[1].shape(), expected.shape()) << what;
        float largest = 1e-3f;
        for (const float each : expected.span<float>()) {
          largest = std::max(largest, std::abs(each));
        }
        for (int64_t i = 0; i < expected.num_elements(); ++i) {
          EXPECT_NEAR((*results)[1].data<float>()[i], expected.data<float>()[i], 2e-5f * largest)
              << what << " [" << i << "]";
        }
      }
    }
  }
}

TEST(LabelLosses, IgnoredClassesAreNoMistakes) {
  const Tensor y = Tensor::vector<int64_t>({0, 255, 2});
  EXPECT_EQ(check_classes(y, 3, 0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check_classes(y, 3, 0, 255), absl::OkStatus());
  EXPECT_EQ(check_classes(y, 2, 0, 255).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::keras
