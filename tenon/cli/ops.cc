#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/verbs.h"

namespace tenon::cli {
namespace {

constexpr Usage kOpsUsage = {.verb = "ops",
                             .what = "Lists the implemented ops with dtypes and gradient.",
                             .example = "tenon ops MatMul\n  tenon ops --json",
                             .operands = "[NAME ...]"};

// "T: float, double; Tidx: int32": what each dtype attribute may be.
std::string dtypes_of(const OpDef& op) {
  std::vector<std::string> parts;
  for (const AttrDef& attr : op.attrs()) {
    if (attr.kind != AttrKind::kType) continue;
    parts.push_back(
        cat(attr.name, ": ", attr.allowed_types.empty() ? "any" : join(attr.allowed_types, ", ")));
  }
  return join(parts, "; ");
}

std::string json_of(const OpDef& op) {
  std::vector<std::string> attrs;
  for (const AttrDef& attr : op.attrs()) {
    if (attr.kind != AttrKind::kType) continue;
    std::vector<std::string> names;
    for (DType dtype : attr.allowed_types) names.emplace_back(to_string(dtype));
    attrs.push_back(cat(json_string(attr.name), ":", json_strings(names)));
  }
  return cat("{\"op\":", json_string(op.name()),
             ",\"gradient\":", op.decl().gradient.function != nullptr, ",\"dtypes\":{",
             join(attrs, ","), "}}");
}

std::string row_of(const OpDef& op) {
  std::string row = op.name();
  row.resize(std::max<size_t>(row.size() + 1, 36), ' ');
  row += op.decl().gradient.function ? "gradient  " : "-         ";
  row += dtypes_of(op);
  row.erase(row.find_last_not_of(' ') + 1);
  return row;
}

Status list_ops(const Operands& names, bool json) {
  TENON_RETURN_IF_ERROR(start_engine());
  std::vector<const OpDef*> ops = OpRegistry::global().all();
  if (!names.empty()) {
    ops.clear();
    for (const std::string& name : names) {
      const OpDef* op = OpRegistry::global().find(name);
      if (!op) {
        std::vector<std::string_view> known;
        for (const OpDef* each : OpRegistry::global().all()) known.push_back(each->name());
        return not_found("op ", name, " is not implemented", did_you_mean(name, known));
      }
      ops.push_back(op);
    }
  }
  for (const OpDef* op : ops) {
    if (op->name().starts_with('_') && names.empty()) continue;  // Tenon's own, in no model
    print((json ? json_of(*op) : row_of(*op)) + "\n");
  }
  return absl::OkStatus();
}

}  // namespace

int ops_command(Words words) {
  bool json = false;
  const Flag flags[] = {{"json", &json, "", "one JSON object a line"}};
  return run_verb(kOpsUsage, flags, words,
                  [&](const Operands& names) { return list_ops(names, json); });
}

}  // namespace tenon::cli
