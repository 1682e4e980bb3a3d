#include "tests/differential/reference_cases.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "tenon/base/files.h"
#include "tenon/io/npy.h"

namespace tenon::differential {
namespace {

using nlohmann::json;

const std::string kRoot = TENON_SOURCE_DIR "/../shared/cases";
const std::string kExpected = TENON_SOURCE_DIR "/tests/conformance/expected.txt";

constexpr std::string_view kPrefixes[] = {"ops/", "gradients/", "models/"};

std::string prefix_of(CaseKind kind) { return std::string(kPrefixes[static_cast<int>(kind)]); }

// Group -> names of its cases.
const std::map<std::string, std::set<std::string>>& expected() {
  static const auto groups = [] {
    std::map<std::string, std::set<std::string>> groups;
    std::istringstream lines(read_file(kExpected).value_or(""));
    for (std::string line; std::getline(lines, line);) {
      const size_t colon = line.find(':');
      if (line.starts_with("#") || colon == std::string::npos) continue;
      std::istringstream names(line.substr(colon + 1));
      for (std::string name; names >> name;) groups[line.substr(0, colon)].insert(name);
    }
    return groups;
  }();
  return groups;
}

StatusOr<json> read_json(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return json::parse(text, nullptr, false);
}

// The arrays of `golden` below `prefix`, by the rest of their names.
StatusOr<std::map<std::string, Tensor>> read_below(const NpzReader& golden,
                                                   const std::string& prefix) {
  std::map<std::string, Tensor> found;
  for (const std::string& name : golden.names()) {
    if (!name.starts_with(prefix)) continue;
    TENON_ASSIGN_OR_RETURN(found[name.substr(prefix.size())], golden.read(name));
  }
  return found;
}

Status read_files(const std::string& folder, ReferenceCase& one) {
  if (!is_directory(folder)) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
  for (const std::string& file : names) {
    if (!file.starts_with(one.name + "-")) continue;
    TENON_ASSIGN_OR_RETURN(std::string bytes, read_file(join_path(folder, file)));
    one.files.emplace_back(file.substr(one.name.size() + 1), std::move(bytes));
  }
  return absl::OkStatus();
}

// Ops and gradients: a case is a signature of the op's model.
StatusOr<ReferenceCase> signature_case(CaseKind kind, const std::string& op,
                                       const std::string& name, const json& info,
                                       const NpzReader& golden) {
  ReferenceCase one{.kind = kind,
                    .group = prefix_of(kind) + op,
                    .name = name,
                    .folder = kRoot + "/ops/" + op + "/1",
                    .signature = name,
                    .inputs = {},
                    .outputs = {},
                    .upstreams = {},
                    .tolerance = {},
                    .error = "",
                    .files = {}};
  one.tolerance.relative = info.value("rtol", 0.0);
  one.tolerance.absolute = std::max(info.value("atol", 0.0), info.value("int_atol", 0.0));
  TENON_ASSIGN_OR_RETURN(one.inputs, read_below(golden, name + "/in/"));
  if (kind == CaseKind::kGradient) {
    TENON_ASSIGN_OR_RETURN(one.outputs, read_below(golden, name + "/grad/"));
    TENON_ASSIGN_OR_RETURN(one.upstreams, read_below(golden, name + "/dy/"));
    return one;
  }
  if (info.contains("error") && info["error"].is_string()) one.error = info["error"];
  one.shape_only = info.value("check", "") == "shape";
  TENON_ASSIGN_OR_RETURN(one.outputs, read_below(golden, name + "/out/"));
  TENON_RETURN_IF_ERROR(read_files(kRoot + "/ops/" + op + "/files", one));
  return one;
}

StatusOr<std::vector<ReferenceCase>> signature_cases(CaseKind kind, const std::string& op) {
  const bool gradient = kind == CaseKind::kGradient;
  const std::string stem = kRoot + "/ops/" + (gradient ? "gradients/" + op : op + "/");
  TENON_ASSIGN_OR_RETURN(const json info, read_json(stem + (gradient ? ".json" : "case.json")));
  TENON_ASSIGN_OR_RETURN(const NpzReader golden,
                         NpzReader::open(stem + (gradient ? ".npz" : "golden.npz")));
  const std::set<std::string>& listed = expected().at(prefix_of(kind) + op);
  std::vector<ReferenceCase> cases;
  for (const auto& [name, one] : info["cases"].items()) {
    if (!listed.contains(name)) continue;
    TENON_ASSIGN_OR_RETURN(cases.emplace_back(), signature_case(kind, op, name, one, golden));
  }
  return cases;
}

// bfloat16 stands in .npy files as its bits.
void restore_bfloat16(const json& dtypes, std::map<std::string, Tensor>& values) {
  for (auto& [name, value] : values) {
    if (dtypes.contains(name) && dtypes[name].value("dtype", "") == "bfloat16") {
      value = value.as_dtype(DType::kBfloat16);
    }
  }
}

StatusOr<std::vector<ReferenceCase>> model_cases(const std::string& model) {
  const std::string folder = kRoot + "/models/" + model;
  TENON_ASSIGN_OR_RETURN(const json info, read_json(folder + "/case.json"));
  TENON_ASSIGN_OR_RETURN(const NpzReader golden, NpzReader::open(folder + "/golden.npz"));
  std::vector<ReferenceCase> cases;
  for (const std::string& request : expected().at(prefix_of(CaseKind::kModel) + model)) {
    if (request.starts_with("seq")) continue;
    for (const auto& [signature, declared] : info["signatures"].items()) {
      const std::string prefix = cat(request, "/", signature, "/");
      TENON_ASSIGN_OR_RETURN(auto outputs, read_below(golden, prefix + "out/"));
      if (outputs.empty()) continue;
      ReferenceCase& one = cases.emplace_back();
      one.kind = CaseKind::kModel;
      one.group = prefix_of(CaseKind::kModel) + model;
      one.name = request;
      one.folder = folder + "/1";
      one.signature = signature;
      one.tolerance.relative = info.value("rtol", 0.0);
      one.tolerance.absolute = info.value("atol", 0.0);
      one.outputs = std::move(outputs);
      TENON_ASSIGN_OR_RETURN(one.inputs, read_below(golden, prefix + "in/"));
      restore_bfloat16(declared["inputs"], one.inputs);
      restore_bfloat16(declared["outputs"], one.outputs);
    }
  }
  return cases;
}

}  // namespace

std::vector<std::string> listed_groups(CaseKind kind) {
  const std::string prefix = prefix_of(kind);
  std::vector<std::string> names;
  for (const auto& [group, cases] : expected()) {
    if (group.starts_with(prefix)) names.push_back(group.substr(prefix.size()));
  }
  return names;
}

StatusOr<std::vector<ReferenceCase>> listed_cases(CaseKind kind, const std::string& name) {
  return kind == CaseKind::kModel ? model_cases(name) : signature_cases(kind, name);
}

}  // namespace tenon::differential
