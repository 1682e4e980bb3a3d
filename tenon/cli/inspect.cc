#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/verbs.h"
#include "tenon/graph/batch_dimension.h"

namespace tenon::cli {
namespace {

struct InspectFlags {
  std::string dir, tag_set, signature;
  bool all = false, graph = false, json = false;
};

constexpr Usage kInspectUsage = {
    .verb = "inspect",
    .what =
        "Shows what a SavedModel holds, with saved_model_cli show's arguments and output: tag "
        "sets, signatures,\ntheir inputs and outputs; beyond it ops, variables and whether "
        "requests may be merged.",
    .example =
        "tenon inspect --dir model/1 --all\n"
        "  tenon inspect --dir model/1 --tag_set serve --signature_def serving_default"};

std::string shape_tuple(const PartialShape& shape) {
  return shape.has_rank() ? cat('(', join(shape.dims(), ", "), ')') : "unknown_rank";
}

void print_tensor(std::string_view indent, std::string_view kind, const SignatureTensor& tensor) {
  print(cat(indent, "  ", kind, "['", tensor.name, "'] tensor_info:\n", indent, "      dtype: ",
            info(tensor.dtype).enum_name, "\n", indent, "      shape: ", shape_tuple(tensor.shape),
            "\n", indent, "      name: ", tensor.tensor, "\n"));
}

void print_signature(const Signature& signature, std::string_view indent) {
  print(cat(indent, "The given SavedModel SignatureDef contains the following input(s):\n"));
  for (const SignatureTensor& input : signature.inputs) print_tensor(indent, "inputs", input);
  print(cat(indent, "The given SavedModel SignatureDef contains the following output(s):\n"));
  for (const SignatureTensor& output : signature.outputs) print_tensor(indent, "outputs", output);
  print(cat(indent, "Method name is: ", signature.method_name, "\n"));
}

// "yes", or the reason why not.
std::string merge_verdict(const SavedModel& model, const Signature& signature) {
  const auto executable = model.executable(signature);
  if (!executable.ok()) return std::string(message_of(executable.status()));
  const StatusOr<MergeVerdict> verdict = may_merge_rows((*executable)->graph());
  if (!verdict.ok()) return std::string(message_of(verdict.status()));
  return verdict->mergeable ? "yes" : cat("no: ", verdict->reason);
}

struct VariableSummary {
  size_t count = 0;
  uint64_t bytes = 0;
};

VariableSummary summarise_variables(const SavedModel& model) {
  VariableSummary summary;
  for (const auto& [name, variable] : model.state()->variables()) {
    const StatusOr<Tensor> value = variable->read();
    ++summary.count;
    if (value.ok()) summary.bytes += value->num_bytes();
  }
  return summary;
}

std::vector<std::string> missing_ops(const SavedModel& model) {
  std::vector<std::string> missing;
  for (const std::string& op : model.ops()) {
    if (!OpRegistry::global().find(op)) missing.push_back(op);
  }
  return missing;
}

void print_all(const SavedModel& model, std::string_view tags) {
  print(cat("\nMetaGraphDef with tag-set: '", tags, "' contains the following SignatureDefs:\n"));
  for (const Signature& signature : model.signatures()) {
    print(cat("\nsignature_def['", signature.name, "']:\n"));
    print_signature(signature, "  ");
    print(cat("  Requests may be merged: ", merge_verdict(model, signature), "\n"));
  }
  const std::vector<std::string> missing = missing_ops(model);
  const VariableSummary variables = summarise_variables(model);
  print(cat("\nThe MetaGraph contains the following ops: ", join(model.ops(), ", "),
            "\nOps that are not implemented: ", missing.empty() ? "none" : join(missing, ", "),
            "\nVariables: ", variables.count, ", ", human_bytes(variables.bytes), "\n"));
}

std::string json_tensors(const std::vector<SignatureTensor>& tensors) {
  std::vector<std::string> parts;
  for (const SignatureTensor& tensor : tensors) {
    parts.push_back(cat(json_string(tensor.name),
                        ":{\"dtype\":", json_string(info(tensor.dtype).enum_name), ",\"shape\":",
                        tensor.shape.has_rank() ? cat('[', join(tensor.shape.dims(), ","), ']')
                                                : std::string("null"),
                        ",\"name\":", json_string(tensor.tensor), "}"));
  }
  return cat('{', join(parts, ","), '}');
}

void print_json(const SavedModel& model, const std::vector<std::string>& tags) {
  std::vector<std::string> signatures;
  for (const Signature& signature : model.signatures()) {
    signatures.push_back(cat(json_string(signature.name),
                             ":{\"inputs\":", json_tensors(signature.inputs),
                             ",\"outputs\":", json_tensors(signature.outputs),
                             ",\"method_name\":", json_string(signature.method_name),
                             ",\"mergeable\":", json_string(merge_verdict(model, signature)), "}"));
  }
  const VariableSummary variables = summarise_variables(model);
  print(cat("{\"tags\":", json_strings(tags), ",\"signatures\":{", join(signatures, ","),
            "},\"ops\":", json_strings(model.ops()),
            ",\"missing_ops\":", json_strings(missing_ops(model)),
            ",\"variables\":", variables.count, ",\"variable_bytes\":", variables.bytes, "}\n"));
}

Status print_tag_sets(const std::vector<std::vector<std::string>>& sets) {
  print("The given SavedModel contains the following tag-sets:\n");
  for (const auto& tags : sets) print(cat("'", join(tags, ", "), "'\n"));
  return absl::OkStatus();
}

Status print_keys(const SavedModel& model) {
  print("The given SavedModel MetaGraphDef contains SignatureDefs with the following keys:\n");
  for (const Signature& signature : model.signatures()) {
    print(cat("SignatureDef key: \"", signature.name, "\"\n"));
  }
  return absl::OkStatus();
}

Status show(const SavedModel& model, const std::vector<std::string>& tags,
            const InspectFlags& flags) {
  if (flags.json) {
    print_json(model, tags);
  } else if (flags.graph) {
    TENON_ASSIGN_OR_RETURN(
        const Signature* signature,
        require_signature(model, flags.signature.empty() ? "serving_default" : flags.signature));
    TENON_ASSIGN_OR_RETURN(const auto executable, model.executable(*signature));
    print(to_string(executable->graph()));
  } else if (!flags.signature.empty()) {
    TENON_ASSIGN_OR_RETURN(const Signature* signature, require_signature(model, flags.signature));
    print_signature(*signature, "");
  } else if (flags.all) {
    print_all(model, join(tags, ", "));
  } else {
    return print_keys(model);
  }
  return absl::OkStatus();
}

Status inspect(const InspectFlags& flags) {
  TENON_ASSIGN_OR_RETURN(auto sets, SavedModel::tag_sets(flags.dir));
  for (auto& tags : sets) std::sort(tags.begin(), tags.end());
  std::sort(sets.begin(), sets.end());
  const bool wants_graph = flags.all || flags.json || flags.graph || !flags.signature.empty();
  if (flags.tag_set.empty() && !wants_graph) return print_tag_sets(sets);
  if (!flags.tag_set.empty()) {
    sets = {parse_tags(flags.tag_set)};
  } else if (!flags.all && sets.size() > 1) {
    return wrong_usage(
        cat("'", flags.dir, "' has ", sets.size(), " tag sets; name one with --tag_set"));
  }
  TENON_RETURN_IF_ERROR(start_engine());
  for (const auto& tags : sets) {
    LoadOptions options;
    options.tags = tags;
    TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(flags.dir, std::move(options)));
    TENON_RETURN_IF_ERROR(show(*model, tags, flags));
  }
  return absl::OkStatus();
}

}  // namespace

int inspect_command(Words words) {
  InspectFlags f;
  const Flag flags[] = {
      {"dir", &f.dir, "DIR", "the SavedModel's version folder", true},
      {"tag_set", &f.tag_set, "TAGS", "tags of the MetaGraph, separated by commas"},
      {"signature_def", &f.signature, "NAME", "show this signature's inputs and outputs"},
      {"all", &f.all, "", "show everything"},
      {"graph", &f.graph, "", "print the signature's graph after the passes"},
      {"json", &f.json, "", "everything as one JSON object a tag set"},
  };
  return run_verb(kInspectUsage, flags, words, [&](const Operands&) { return inspect(f); });
}

}  // namespace tenon::cli
