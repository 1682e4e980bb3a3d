// Every layer against real Keras: testdata/layer_cases.{json,npz}
// (tests/keras/make_layer_cases.py).
#include "tenon/graph/gradient.h"
#include "tenon/io/npy.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"
#include "tenon/runtime/executable.h"

namespace tenon::keras {
namespace {

const Json& layer_cases() {
  static const Json cases = testdata_json("layer_cases.json");
  return cases;
}

const NpzReader& layer_arrays() {
  static const StatusOr<NpzReader> arrays = NpzReader::open(testdata("layer_cases.npz"));
  EXPECT_TRUE(arrays.ok()) << arrays.status();
  return *arrays;
}

// The arrays CASE/KIND0, CASE/KIND1, ...
std::vector<Tensor> case_arrays(const std::string& name, std::string_view kind) {
  std::vector<Tensor> found;
  for (;;) {
    const StatusOr<Tensor> array = layer_arrays().read(cat(name, "/", kind, found.size()));
    if (!array.ok()) return found;
    found.push_back(*array);
  }
}

std::unique_ptr<Model> case_model(const std::string& name, const Json& json) {
  StatusOr<std::unique_ptr<Model>> model = Model::from_json(json);
  EXPECT_TRUE(model.ok()) << name << ": " << model.status();
  if (!model.ok()) return nullptr;
  const std::vector<Weight*> weights = (*model)->weights();
  const std::vector<Tensor> values = case_arrays(name, "w");
  EXPECT_EQ(weights.size(), values.size()) << name;
  for (size_t i = 0; i < std::min(weights.size(), values.size()); ++i) {
    const Status status = weights[i]->variable->assign(values[i]);
    EXPECT_TRUE(status.ok()) << name << ", " << weights[i]->path << ": " << status;
  }
  return *std::move(model);
}

void expect_close(const Tensor& got, const Tensor& want, float tolerance, const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  ASSERT_EQ(got.dtype(), want.dtype()) << what;
  if (got.dtype() != DType::kFloat) return;
  float worst = 0, largest = 0;
  for (int64_t i = 0; i < got.num_elements(); ++i) {
    worst = std::max(worst, std::abs(got.data<float>()[i] - want.data<float>()[i]));
    largest = std::max(largest, std::abs(want.data<float>()[i]));
  }
  EXPECT_LE(worst, tolerance * largest + 1e-6f) << what;
}

// The model's outputs, and the gradients of sum(outputs * dy) for weights and floating inputs.
StatusOr<std::vector<Tensor>> run_case(const Model& model, std::vector<Tensor> args, size_t inputs,
                                       bool open_rows) {
  Graph whole;
  Trace trace(whole, false);
  GraphBuilder& g = trace.build();
  std::vector<Value> x;
  std::vector<Endpoint> wanted, dys;
  for (size_t i = 0; i < args.size(); ++i) {
    PartialShape shape(args[i].shape());
    if (open_rows) shape.set(0, -1);
    const Endpoint arg = g.arg("", args[i].dtype(), shape);
    (i < inputs ? wanted : dys).push_back(arg);
    if (i < inputs) x.emplace_back(arg);
  }
  const Outputs outputs = model.network().trace(trace, x);
  TENON_RETURN_IF_ERROR(g.status());
  std::vector<Endpoint> losses, sources;
  for (size_t i = 0; i < outputs.size(); ++i) {
    whole.results.push_back(outputs[i].tensor);
    const Endpoint product = g.mul(g.cast(outputs[i].tensor, DType::kFloat), dys[i]);
    std::vector<int64_t> axes;
    for (int axis = 0; axis < g.shape(product).rank(); ++axis) axes.push_back(axis);
    losses.push_back(g.sum(product, axes));
  }
  for (const Weight* weight : model.trainable_weights()) sources.push_back(trace.read(*weight));
  for (const Value& value : x) {
    if (is_floating(g.dtype(value.tensor))) sources.push_back(value.tensor);
  }
  TENON_RETURN_IF_ERROR(g.status());
  TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> found, gradients(whole, losses, {}, sources));
  for (size_t i = 0; i < found.size(); ++i) {
    whole.results.push_back(found[i] ? found[i] : g.zeros_like(sources[i]));
  }
  TENON_RETURN_IF_ERROR(g.status());
  for (size_t i = 0; i < whole.results.size(); ++i) whole.result_names.push_back(cat("r", i));
  TENON_ASSIGN_OR_RETURN(const auto executable,
                         Executable::create(std::move(whole), model.state()));
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(executable->run(args, results));
  return results;
}

// Without identities, which Keras gives anew each time.
Json without_identities(const Json& json) {
  if (json.items()) {
    Json::Array items;
    for (const Json& item : *json.items()) items.push_back(without_identities(item));
    return Json(std::move(items));
  }
  if (!json.members()) return json;
  Json kept = Json::object();
  for (const auto& [name, value] : *json.members()) {
    if (name != "shared_object_id" && name != "compile_config") {
      kept.append(name, without_identities(value));
    }
  }
  return kept;
}

// Where two configs differ first.
std::string difference(const Json& a, const Json& b, const std::string& at) {
  if (a == b) return "";
  if (a.members() && b.members()) {
    for (const auto& [name, value] : *a.members()) {
      const std::string found = difference(value, b[name], at + "/" + name);
      if (!found.empty()) return found;
    }
    for (const auto& [name, value] : *b.members()) {
      if (!a.find(name)) return at + "/" + name + " is missing";
    }
  }
  if (a.items() && b.items() && a.items()->size() == b.items()->size()) {
    for (size_t i = 0; i < a.items()->size(); ++i) {
      const std::string found = difference((*a.items())[i], (*b.items())[i], cat(at, "/", i));
      if (!found.empty()) return found;
    }
  }
  return cat(at, ": ", a.dump().substr(0, 300), " not ", b.dump().substr(0, 300));
}

TEST(LayerCases, OutputsGradientsAndConfigsAreThoseOfKeras) {
  for (const auto& [name, json] : *layer_cases().members()) {
    SCOPED_TRACE(name);
    const std::unique_ptr<Model> model = case_model(name, json);
    if (!model) continue;
    EXPECT_EQ(difference(without_identities(model->to_json()["config"]),
                         without_identities(json["config"]), ""),
              "");
    std::vector<Tensor> args = case_arrays(name, "x");
    const size_t inputs = args.size();
    ASSERT_EQ(inputs, model->network().inputs.size());
    const std::vector<Tensor> dy = case_arrays(name, "dy");
    args.insert(args.end(), dy.begin(), dy.end());
    for (const bool open_rows : {true, false}) {
      const StatusOr<std::vector<Tensor>> results = run_case(*model, args, inputs, open_rows);
      EXPECT_TRUE(results.ok()) << results.status();
      if (!results.ok()) break;
      const std::vector<Tensor> y = case_arrays(name, "y"), g = case_arrays(name, "g");
      ASSERT_EQ(results->size(), y.size() + g.size());
      for (size_t i = 0; i < y.size(); ++i) {
        expect_close((*results)[i], y[i], 1e-5f, cat("output ", i));
      }
      for (size_t i = 0; i < g.size(); ++i) {
        expect_close((*results)[y.size() + i], g[i], 2e-5f, cat("gradient ", i));
      }
    }
  }
}

// What is written is read again, weights and all, whatever layers lie within others.
TEST(LayerCases, FilesKeepEveryWeight) {
  const StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const std::string path = join_path(folder->path(), "m.keras");
  for (const auto& [name, json] : *layer_cases().members()) {
    SCOPED_TRACE(name);
    const std::unique_ptr<Model> model = case_model(name, json);
    if (!model) continue;
    const Status saved = model->save(path);
    ASSERT_TRUE(saved.ok()) << saved;
    const StatusOr<std::unique_ptr<Model>> again = Model::load(path);
    ASSERT_TRUE(again.ok()) << again.status();
    const std::vector<Tensor> want = case_arrays(name, "w");
    const std::vector<Weight*> weights = (*again)->weights();
    ASSERT_EQ(weights.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      expect_close(*weights[i]->variable->read(), want[i], 0, weights[i]->path);
    }
  }
}

}  // namespace
}  // namespace tenon::keras
