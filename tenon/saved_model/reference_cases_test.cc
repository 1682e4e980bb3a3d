// Every implemented op against what TensorFlow computed for it: values, dtypes, shapes, error codes
// and gradients of shared/cases/ops. A new op is tested by being there.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tenon/base/files.h"
#include "tenon/graph/gradient.h"
#include "tenon/io/npy.h"
#include "tenon/passes/pass.h"
#include "tenon/saved_model/folder_access.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/saved_model.h"

namespace tenon {
namespace {

using nlohmann::json;

const std::string kCases = TENON_SOURCE_DIR "/../shared/cases/ops";

void register_ops_once() { ASSERT_TRUE(register_test_ops().ok()) << register_test_ops(); }

json read_json(const std::string& path) {
  const auto text = read_file(path);
  return text.ok() ? json::parse(*text) : json();
}

// Ops whose folder of cases exists and that are registered.
std::vector<std::string> tested_ops(const std::string& suffix) {
  register_ops_once();
  std::vector<std::string> ops;
  for (const OpDef* op : OpRegistry::global().all()) {
    if (path_exists(
            kCases + "/" +
            (suffix.empty() ? op->name() + "/case.json" : "gradients/" + op->name() + suffix))) {
      ops.push_back(op->name());
    }
  }
  return ops;
}

double real_at(const Tensor& tensor, int64_t index) {
  double value = 0;
  visit<RealTypes>(tensor.dtype(),
                   [&]<class T>() { value = static_cast<double>(tensor.data<T>()[index]); });
  if (tensor.dtype() == DType::kBool) value = tensor.data<bool>()[index];
  return value;
}

struct Tolerance {
  double rtol = 0;
  double atol = 0;
};

std::string compare_number(double got, double want, Tolerance t) {
  if (std::isnan(got) && std::isnan(want)) return "";
  if (got == want || std::abs(got - want) <= t.atol + t.rtol * std::abs(want)) return "";
  return cat("got ", got, ", want ", want);
}

// Empty when equal within the tolerance.
std::string compare(const Tensor& got, const Tensor& want, Tolerance t) {
  if (!(got.shape() == want.shape())) return cat("shape ", got.shape(), ", want ", want.shape());
  if (got.dtype() != want.dtype()) return cat("dtype ", got.dtype(), ", want ", want.dtype());
  for (int64_t i = 0; i < got.num_elements(); ++i) {
    std::string difference;
    if (got.dtype() == DType::kString) {
      if (got.data<std::string_view>()[i] != want.data<std::string_view>()[i]) {
        difference = cat("got ", to_string(got), ", want ", to_string(want));
      }
    } else if (is_complex(got.dtype())) {
      const bool wide = got.dtype() == DType::kComplex128;
      const auto part = [&](const Tensor& x, int64_t at) {
        return wide ? x.data<double>()[at] : static_cast<double>(x.data<float>()[at]);
      };
      for (int64_t at : {2 * i, 2 * i + 1}) {
        difference += compare_number(part(got, at), part(want, at), t);
      }
    } else {
      difference = compare_number(real_at(got, i), real_at(want, i), t);
    }
    if (!difference.empty()) return cat("element ", i, ": ", difference);
  }
  return "";
}

class OpCase {
 public:
  OpCase(std::string op, std::string name, const json& info)
      : op_(std::move(op)), name_(std::move(name)), info_(info) {}

  void run(const NpzReader& golden) {
    const auto folder = TemporaryDirectory::create();
    ASSERT_TRUE(folder.ok());
    ASSERT_EQ(chdir(folder->path().c_str()), 0);
    place_files();
    std::vector<Tensor> outputs;
    const Signature* signature = nullptr;
    const Status status = execute(golden, outputs, signature);
    if (!info_["error"].is_null()) {
      EXPECT_EQ(code_name(status.code()), info_["error"].get<std::string>()) << status;
      return;
    }
    ASSERT_TRUE(status.ok()) << status;
    const Tolerance tolerance{info_.value("rtol", 0.0),
                              std::max(info_.value("atol", 0.0), info_.value("int_atol", 0.0))};
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto want = golden.read(cat(name_, "/out/", signature->outputs[i].name));
      if (!want.ok()) continue;
      if (info_.value("check", "") == "shape" && outputs[i].dtype() != DType::kBool) {
        EXPECT_EQ(outputs[i].shape(), want->shape());
        continue;
      }
      EXPECT_EQ(compare(outputs[i], *want, tolerance), "") << signature->outputs[i].name;
    }
  }

 private:
  void place_files() {
    const std::string files = kCases + "/" + op_ + "/files";
    if (!is_directory(files)) return;
    const auto names = list_directory(files);
    ASSERT_TRUE(names.ok());
    for (const std::string& file : *names) {
      if (!file.starts_with(name_ + "-")) continue;
      const auto bytes = read_file(join_path(files, file));
      ASSERT_TRUE(bytes.ok());
      ASSERT_TRUE(write_file(file.substr(name_.size() + 1), *bytes).ok());
    }
  }

  Status execute(const NpzReader& golden, std::vector<Tensor>& outputs,
                 const Signature*& signature) {
    LoadOptions options;
    options.executable.files = &everything_;
    TENON_ASSIGN_OR_RETURN(model_, SavedModel::load(kCases + "/" + op_ + "/1", options));
    signature = model_->find_signature(name_);
    if (!signature) return internal("no signature ", name_);
    TENON_ASSIGN_OR_RETURN(const auto executable, model_->executable(*signature));
    std::vector<Tensor> args;
    for (const SignatureTensor& input : signature->inputs) {
      TENON_ASSIGN_OR_RETURN(args.emplace_back(), golden.read(cat(name_, "/in/", input.name)));
    }
    return executable->run(args, outputs);
  }

  std::string op_;
  std::string name_;
  const json& info_;
  FolderAccess everything_{{}, {}, true};
  std::shared_ptr<SavedModel> model_;
};

class ReferenceOp : public testing::TestWithParam<std::string> {};

TEST_P(ReferenceOp, ComputesWhatTensorFlowComputes) {
  const std::string& op = GetParam();
  const json info = read_json(kCases + "/" + op + "/case.json");
  const auto golden = NpzReader::open(kCases + "/" + op + "/golden.npz");
  ASSERT_TRUE(golden.ok()) << golden.status();
  for (const auto& [name, one] : info["cases"].items()) {
    SCOPED_TRACE(cat(op, " ", name, " ", one.value("note", "")));
    OpCase(op, name, one).run(*golden);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, ReferenceOp, testing::ValuesIn(tested_ops("")),
                         [](const auto& info) { return info.param; });

// Gradient of sum(dy * output) with respect to each floating input.
class GradientCase {
 public:
  GradientCase(std::string op, std::string name, const json& info, const NpzReader& golden)
      : op_(std::move(op)), name_(std::move(name)), info_(info), golden_(golden) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(kCases + "/" + op_ + "/1"));
    const Signature* signature = model->find_signature(name_);
    if (!signature) return internal("no signature ", name_);
    TENON_ASSIGN_OR_RETURN(Graph graph, model->function(*signature));
    TENON_RETURN_IF_ERROR(inline_functions(graph, {}));
    std::vector<Tensor> args;
    std::vector<Endpoint> xs;
    const auto wanted = info_["grad"].get<std::vector<std::string>>();
    for (size_t i = 0; i < signature->inputs.size(); ++i) {
      const std::string& input = signature->inputs[i].name;
      TENON_ASSIGN_OR_RETURN(args.emplace_back(), golden_.read(cat(name_, "/in/", input)));
      if (std::find(wanted.begin(), wanted.end(), input) == wanted.end()) continue;
      xs.push_back({graph.args[i], 0});
      names_.push_back(input);
    }
    TENON_RETURN_IF_ERROR(add_gradients(graph, xs, args));
    TENON_ASSIGN_OR_RETURN(const auto executable,
                           Executable::create(std::move(graph), model->state()));
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(executable->run(args, results));
    return check(results);
  }

 private:
  Status add_gradients(Graph& graph, std::span<const Endpoint> xs, std::vector<Tensor>& args) {
    GraphBuilder builder(graph);
    std::vector<Endpoint> ys, dys;
    for (size_t i = 0; i < graph.results.size(); ++i) {
      const std::string& output = graph.result_names[i];
      const auto dy = golden_.read(cat(name_, "/dy/", output));
      if (!dy.ok()) continue;
      ys.push_back(graph.results[i]);
      dys.push_back(builder.arg(cat("dy_", output), dy->dtype(), dy->shape()));
      args.push_back(*dy);
    }
    TENON_RETURN_IF_ERROR(builder.status());
    TENON_ASSIGN_OR_RETURN(const auto dxs, gradients(graph, ys, dys, xs));
    graph.results.clear();
    graph.result_names.clear();
    for (size_t i = 0; i < dxs.size(); ++i) {
      graph.results.push_back(dxs[i] ? dxs[i] : builder.zeros_like(xs[i]));
      graph.result_names.push_back(names_[i]);
    }
    return builder.status();
  }

  Status check(const std::vector<Tensor>& results) {
    const Tolerance tolerance{info_.value("rtol", 0.0), info_.value("atol", 0.0)};
    for (size_t i = 0; i < results.size(); ++i) {
      TENON_ASSIGN_OR_RETURN(const Tensor want, golden_.read(cat(name_, "/grad/", names_[i])));
      EXPECT_EQ(compare(results[i], want, tolerance), "") << "gradient of " << names_[i];
    }
    return absl::OkStatus();
  }

  std::string op_;
  std::string name_;
  const json& info_;
  const NpzReader& golden_;
  std::vector<std::string> names_;
};

class ReferenceGradient : public testing::TestWithParam<std::string> {};

TEST_P(ReferenceGradient, IsWhatTensorFlowComputes) {
  const std::string& op = GetParam();
  const json info = read_json(kCases + "/gradients/" + op + ".json");
  const auto golden = NpzReader::open(kCases + "/gradients/" + op + ".npz");
  ASSERT_TRUE(golden.ok()) << golden.status();
  for (const auto& [name, one] : info["cases"].items()) {
    SCOPED_TRACE(cat(op, " ", name, " ", one.value("note", "")));
    const Status status = GradientCase(op, name, one, *golden).run();
    EXPECT_TRUE(status.ok()) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(Gradients, ReferenceGradient, testing::ValuesIn(tested_ops(".json")),
                         [](const auto& info) { return info.param; });

// Whole models: the requests and answers beside them.
class ReferenceModel : public testing::TestWithParam<std::string> {};

TEST_P(ReferenceModel, AnswersAsTensorFlow) {
  register_ops_once();
  const std::string folder = TENON_SOURCE_DIR "/../shared/cases/models/" + GetParam();
  const json info = read_json(folder + "/case.json");
  const auto golden = NpzReader::open(folder + "/golden.npz");
  ASSERT_TRUE(golden.ok()) << golden.status();
  const auto model = SavedModel::load(folder + "/1");
  ASSERT_TRUE(model.ok()) << model.status();
  const Tolerance tolerance{info.value("rtol", 0.0), info.value("atol", 0.0)};
  int compared = 0;
  for (int request = 0; request < info["requests"].get<int>(); ++request) {
    for (const Signature& signature : (*model)->signatures()) {
      const std::string prefix = cat(request, "/", signature.name, "/");
      std::vector<Tensor> args;
      for (const SignatureTensor& input : signature.inputs) {
        const auto value = golden->read(cat(prefix, "in/", input.name));
        args.push_back(value.ok() ? *value : input.fallback());
      }
      const auto& names = golden->names();
      if (std::none_of(names.begin(), names.end(),
                       [&](const std::string& name) { return name.starts_with(prefix); })) {
        continue;
      }
      const auto executable = (*model)->executable(signature);
      ASSERT_TRUE(executable.ok()) << executable.status();
      std::vector<Tensor> outputs;
      const Status status = (*executable)->run(args, outputs);
      ASSERT_TRUE(status.ok()) << status;
      for (size_t i = 0; i < outputs.size(); ++i) {
        const auto want = golden->read(cat(prefix, "out/", signature.outputs[i].name));
        ASSERT_TRUE(want.ok()) << want.status();
        EXPECT_EQ(compare(outputs[i], *want, tolerance), "") << prefix;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, ReferenceModel,
                         testing::Values("mlp_mnist_export", "mlp_mnist_tfsave", "cnn_digits",
                                         "cnn_lenet_mnist", "tf1_half_plus_two", "tf1_mlp_session",
                                         "resnet_v1_small"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tenon
