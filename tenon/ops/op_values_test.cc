// Ops against what TensorFlow computed for special values of every dtype: ops/testdata/*.jsonl,
// made by tests/interop/op_values*.py and family_values.py. TENON_OP_VALUES names another file,
// made by them of all cases; then what Tenon lacks is printed, and everything that differs is
// written to that name +
// ".failed".
#include <cmath>
#include <complex>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "tenon/base/thread_pool.h"
#include "tenon/graph/builder.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

using nlohmann::json;

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

Tensor tensor_of(const json& text) {
  const auto dtype = parse_dtype(text[0].get<std::string>());
  const auto dims = text[1].get<std::vector<int64_t>>();
  const Shape shape{std::span<const int64_t>(dims)};
  if (text[0] == "bytes") {
    std::vector<std::string> texts;
    for (const json& hex : text[2]) texts.push_back(bytes_of(hex.get<std::string>()));
    return Tensor::strings(shape, texts);
  }
  if (*dtype == DType::kString) {
    return Tensor::strings(shape, text[2].get<std::vector<std::string>>());
  }
  Tensor tensor(*dtype, shape);
  const std::string bytes = bytes_of(text[2].get<std::string>());
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(tensor.mutable_raw()));
  return tensor;
}

AttrMap attrs_of(const json& texts) {
  AttrMap attrs;
  for (const auto& [name, text] : texts.items()) {
    if (text.contains("type")) attrs.set(name, *parse_dtype(text["type"].get<std::string>()));
    if (text.contains("b")) attrs.set(name, text["b"].get<bool>());
    if (text.contains("i")) attrs.set(name, text["i"].get<int64_t>());
    if (text.contains("f")) attrs.set(name, text["f"].get<float>());
    if (text.contains("s")) attrs.set(name, text["s"].get<std::string>());
    if (text.contains("ints")) attrs.set(name, text["ints"].get<std::vector<int64_t>>());
    if (text.contains("strings")) attrs.set(name, text["strings"].get<std::vector<std::string>>());
    if (text.contains("types")) {
      std::vector<DType> types;
      for (const json& type : text["types"]) types.push_back(*parse_dtype(type.get<std::string>()));
      attrs.set(name, types);
    }
    if (text.contains("li")) attrs.set(name, text["li"].get<std::vector<int64_t>>());
    if (text.contains("lf")) attrs.set(name, text["lf"].get<std::vector<float>>());
    if (text.contains("shape")) {
      const auto dims = text["shape"].get<std::vector<int64_t>>();
      attrs.set(name, PartialShape(std::span<const int64_t>(dims)));
    }
  }
  return attrs;
}

// How the op sees its inputs: dimensions known or not; small inputs on the host known or not.
enum class Feed { kKnown, kUnknown, kHostConstants };

// Where the line has "dy", one tensor or null for each output: the gradients that "grad" has follow
// the outputs.
Status add_gradients(const json& line, const std::vector<Endpoint>& inputs, NodeId node,
                     Graph& graph, std::vector<Tensor>& args) {
  if (!line.contains("dy")) return absl::OkStatus();
  GraphBuilder b(graph);
  std::vector<Endpoint> ys, dys;
  for (size_t i = 0; i < line["dy"].size(); ++i) {
    if (line["dy"][i].is_null()) continue;
    args.push_back(tensor_of(line["dy"][i]));
    ys.push_back({node, static_cast<int>(i)});
    dys.push_back(b.arg(cat("dy", i), args.back().dtype(), PartialShape(args.back().shape())));
  }
  TENON_RETURN_IF_ERROR(b.status());
  TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> found, gradients(graph, ys, dys, inputs));
  for (size_t i = 0; i < found.size(); ++i) {
    if (line["grad"][i].is_null()) continue;
    if (!found[i]) return internal("no gradient of input ", i);
    graph.results.push_back(found[i]);
  }
  return absl::OkStatus();
}

StatusOr<std::vector<Tensor>> run_op(const json& line, const std::vector<Tensor>& inputs,
                                     Feed feed) {
  const auto name = line["op"].get<std::string>();
  const OpDef* op = OpRegistry::global().find(name);
  if (!op) return unimplemented("no op ", name);
  Graph graph;
  GraphBuilder b(graph);
  std::vector<Endpoint> endpoints, handles;
  std::vector<Tensor> args;
  const auto state = std::make_shared<ModelState>();
  const size_t variables = line.value("vars", size_t{0});
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& x = inputs[i];
    if (i < variables) {
      TENON_RETURN_IF_ERROR(state->set_variable(cat("v", i), x.clone()));
      handles.push_back(b.op("VarHandleOp", {},
                             {{"shared_name", cat("v", i)},
                              {"dtype", x.dtype()},
                              {"shape", PartialShape(x.shape())}}));
      endpoints.push_back(handles.back());
      continue;
    }
    if (feed == Feed::kHostConstants &&
        op->decl().host_inputs.contains(static_cast<int>(i), inputs.size())) {
      endpoints.push_back(b.constant(x));
      continue;
    }
    const PartialShape shape = feed == Feed::kUnknown ? PartialShape() : PartialShape(x.shape());
    endpoints.push_back(b.arg(cat("x", i), x.dtype(), shape));
    args.push_back(x);
  }
  // A variable is read after the op.
  const NodeId node = b.node(name, endpoints, attrs_of(line["attrs"]));
  TENON_RETURN_IF_ERROR(b.status());
  for (size_t i = 0; i < graph.node(node).outputs.size(); ++i) {
    graph.results.push_back({node, static_cast<int>(i)});
  }
  for (size_t i = 0; i < handles.size(); ++i) {
    graph.results.push_back(b.op("ReadVariableOp", {handles[i]}, {{"dtype", inputs[i].dtype()}}));
    graph.node(graph.results.back().node).control_inputs.push_back(node);
  }
  TENON_RETURN_IF_ERROR(b.status());
  TENON_RETURN_IF_ERROR(add_gradients(line, endpoints, node, graph, args));
  for (size_t i = 0; i < graph.results.size(); ++i) graph.result_names.push_back(cat("y", i));
  TENON_ASSIGN_OR_RETURN(const auto executable, Executable::create(std::move(graph), state));
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(executable->run(args, results));
  return results;
}

// The relative error that two libraries' correct results may differ by, and the least normal
// number: below it TensorFlow gives zeros on some threads.
struct Precision {
  double relative = 0;
  double normal = 0;
};
Precision precision_of(DType dtype) {
  switch (dtype) {
    case DType::kHalf:
      return {0x1p-9, 0x1p-14};
    case DType::kBfloat16:
      return {0x1p-6, 0x1p-126};
    case DType::kFloat:
    case DType::kComplex64:
      return {1e-5, 0x1p-126};
    default:
      return {1e-11, 0x1p-1022};
  }
}

// Zeros agree whatever their signs, and numbers below `scale` are judged as if they were that.
bool agree(double got, double want, Precision p, double scale) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (std::isinf(got) || std::isinf(want)) return got == want;
  const double error = std::abs(got - want);
  return error <= p.relative * std::max({std::abs(want), scale, p.normal * 16}) ||
         (std::abs(got) <= p.normal * 2 && std::abs(want) <= p.normal * 2);
}

// `relative`, where it is not 0, stands for the dtype's precision.
std::string difference(const Tensor& got, const Tensor& want, double scale, double relative) {
  if (got.dtype() != want.dtype() || !(got.shape() == want.shape())) {
    return cat(got.dtype(), got.shape(), " instead of ", want.dtype(), want.shape());
  }
  for (int64_t i = 0; i < want.num_elements(); ++i) {
    bool same = true;
    std::string found;
    Precision p = precision_of(want.dtype());
    if (relative != 0) p.relative = relative;
    visit<FloatTypes>(want.dtype(), [&]<class T>() {
      const double a = static_cast<double>(got.data<T>()[i]);
      const double b = static_cast<double>(want.data<T>()[i]);
      same = agree(a, b, p, scale);
      found = cat(a, " instead of ", b);
    });
    visit<TypeList<std::complex<float>, std::complex<double>>>(want.dtype(), [&]<class T>() {
      const std::complex<double> a(got.data<T>()[i]), b(want.data<T>()[i]);
      // Parts that cancel have the error of the whole; what is not finite has no parts.
      const double size = std::max(std::abs(b), scale);
      const bool finite = std::isfinite(a.real()) && std::isfinite(a.imag());
      const bool wanted = std::isfinite(b.real()) && std::isfinite(b.imag());
      same =
          finite == wanted &&
          (!finite || (agree(a.real(), b.real(), p, size) && agree(a.imag(), b.imag(), p, size)));
      found = cat(a.real(), "+", a.imag(), "i instead of ", b.real(), "+", b.imag(), "i");
    });
    if (want.dtype() == DType::kString) {
      same = got.data<std::string_view>()[i] == want.data<std::string_view>()[i];
    } else if (found.empty()) {
      const size_t size = size_of(want.dtype());
      const auto at = size * static_cast<size_t>(i);
      const auto* a = static_cast<const char*>(got.raw()) + at;
      const auto* b = static_cast<const char*>(want.raw()) + at;
      same = std::memcmp(a, b, size) == 0;
      if (!same && is_integer(want.dtype())) {
        found = cat(integer_at(got, i), " instead of ", integer_at(want, i));
      }
    }
    if (!same) return cat("element ", i, ": ", found);
  }
  return "";
}

// Near 0 TensorFlow's results have fewer digits than ours.
const std::set<std::string> kLosesDigits = {"Elu",
                                            "Selu",
                                            "Softplus",
                                            "LogSoftmax",
                                            "Erfinv",
                                            "Ndtri",
                                            "Expm1",
                                            "Log1p",
                                            "Xlog1py",
                                            "EluGrad",
                                            "SeluGrad",
                                            "BesselJ0",
                                            "BesselJ1",
                                            "BesselY0",
                                            "BesselY1",
                                            "Spence",
                                            "CumulativeLogsumexp",
                                            "BlockLSTM",
                                            "BlockLSTMV2",
                                            "LSTMBlockCell",
                                            "GRUBlockCell",
                                            "LSTMBlockCellGrad",
                                            "BlockLSTMGrad",
                                            "BlockLSTMGradV2",
                                            "GRUBlockCellGrad",
                                            "FusedPadConv2D",
                                            "FusedResizeAndPadConv2D",
                                            "SparseMatMul"};

class OpValues : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ThreadPool::configure(3);
    if (!OpRegistry::global().find("While")) {
      ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
    }
  }

  // Empty when all three feeds give what TensorFlow does.
  std::string check(const json& line) {
    std::vector<Tensor> inputs;
    for (const json& text : line["in"]) inputs.push_back(tensor_of(text));
    for (Feed feed : {Feed::kKnown, Feed::kUnknown, Feed::kHostConstants}) {
      const auto got = run_op(line, inputs, feed);
      const std::string how = cat(" (feed ", static_cast<int>(feed), ")");
      if (got.status().code() == absl::StatusCode::kUnimplemented && !line.contains("error")) {
        return "lacking";
      }
      if (line.contains("error")) {
        const auto want = line["error"].get<std::string>();
        if (code_name(got.status().code()) == want) continue;
        return cat(got.status().ToString().c_str(), " instead of ", want, how);
      }
      if (!got.ok()) return cat(got.status().ToString().c_str(), how);
      for (size_t i = 0; i < line["out"].size(); ++i) {
        const double scale = kLosesDigits.contains(line["op"].get<std::string>()) ? 1 : 0;
        const std::string found =
            difference((*got)[i], tensor_of(line["out"][i]), line.value("scale", scale),
                       line.value("relative", 0.0));
        if (!found.empty()) return cat(found, how);
      }
      const std::string found = differing_gradient(line, *got);
      if (!found.empty()) return cat(found, how);
    }
    return "";
  }

  // The gradients are the last results.
  static std::string differing_gradient(const json& line, const std::vector<Tensor>& got) {
    if (!line.contains("grad")) return "";
    size_t next = got.size();
    for (const json& one : line["grad"]) next -= !one.is_null();
    for (size_t i = 0; i < line["grad"].size(); ++i) {
      if (line["grad"][i].is_null()) continue;
      const std::string found = difference(got[next++], tensor_of(line["grad"][i]),
                                           line["grad_scale"], line["grad_relative"]);
      if (!found.empty()) return cat("gradient of input ", i, ": ", found);
    }
    return "";
  }
};

std::string dtypes_of(const json& line) {
  std::string text;
  for (const json& one : line["in"]) text += cat(" ", one[0].get<std::string>());
  return text;
}

// The files of cases that are kept, or the one that the environment names.
std::vector<std::string> value_files() {
  if (const char* all = std::getenv("TENON_OP_VALUES")) return {all};
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(TENON_SOURCE_DIR "/tenon/ops/testdata")) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST_F(OpValues, AreTensorFlows) {
  const bool all = std::getenv("TENON_OP_VALUES");
  int count = 0;
  for (const std::string& path : value_files()) {
    std::ifstream file(path);
    ASSERT_TRUE(file.good()) << path;
    std::ofstream failed;
    if (all) failed.open(path + ".failed");
    std::set<std::string> lacking;
    int number = 0;
    for (std::string text; std::getline(file, text); ++count) {
      const json line = json::parse(text);
      const std::string found = check(line);
      ++number;
      if (found.empty()) continue;
      if (all && found == "lacking") {
        lacking.insert(cat(line["op"].get<std::string>(), dtypes_of(line)));
        continue;
      }
      ADD_FAILURE() << line["op"].get<std::string>() << dtypes_of(line) << " "
                    << line["attrs"].dump() << " " << path << " line " << number << ": " << found;
      if (all) failed << text << "\n";
    }
    for (const std::string& one : lacking) std::cout << "lacking: " << one << "\n";
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace tenon
