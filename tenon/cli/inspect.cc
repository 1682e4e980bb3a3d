#include <set>

#include "tenon/base/files.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/inspect_file.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_folder.h"
#include "tenon/cli/verbs.h"
#include "tenon/graph/batch_dimension.h"
#include "tenon/saved_model/missing.h"

namespace tenon::cli {
namespace {

struct InspectFlags {
  std::string model, tag_set, signature, device;
  bool all = false, graph = false, json = false, list_ops = false;
};

constexpr Usage kInspectUsage = {
    .verb = "inspect",
    .what =
        "Shows what a SavedModel holds, with saved_model_cli show's arguments and output: tag "
        "sets, signatures,\ntheir inputs and outputs; beyond it ops, variables, what is missing "
        "of them, and\nwhether requests may be merged.",
    .example =
        "tenon inspect model/1 --all\n"
        "  tenon inspect --model model/1 --tag_set serve --signature_def serving_default",
    .operands = "[MODEL]",
    .operand_flag = "model"};

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

// What the preferred device leaves to the host for one row of each input.
StatusOr<HostWork> host_work(const SavedModel& model, const Signature& signature) {
  TENON_ASSIGN_OR_RETURN(const auto executable, model.executable(signature));
  const StatusOr<std::vector<Shape>> shapes = one_row_shapes(signature);
  if (!shapes.ok()) {
    return invalid_argument(message_of(shapes.status()), ": its ops are placed when it runs");
  }
  return executable->host_work(*shapes);
}

struct VariableSummary {
  int64_t count = 0;
  uint64_t bytes = 0;
};

// A model as far as it can be read, and what keeps it from being loaded.
struct Inspected {
  std::shared_ptr<SavedModel> model;
  Status load;  // of the whole model
  MissingParts missing;
  VariableSummary variables;
};

StatusOr<Inspected> read_model(const std::string& folder, const std::vector<std::string>& tags) {
  LoadOptions options;
  options.tags = tags;
  options.warn = false;
  Inspected inspected;
  StatusOr<std::shared_ptr<SavedModel>> loaded = SavedModel::load(folder, options);
  inspected.load = loaded.status();
  if (!loaded.ok()) loaded = SavedModel::read(folder, options);
  if (!loaded.ok()) return loaded.status();
  inspected.model = *std::move(loaded);
  MissingParts& missing = inspected.missing = missing_parts(*inspected.model);
  if (!inspected.load.ok()) return inspected;
  const auto variables = inspected.model->state()->variables();
  for (const auto& [name, variable] : variables) {
    std::erase(missing.variables, name);  // the initialisation made it
    const StatusOr<Tensor> value = variable->read();
    ++inspected.variables.count;
    if (value.ok()) inspected.variables.bytes += value->num_bytes();
  }
  if (!missing.variables.empty()) {
    inspected.load =
        not_found("'", join_path(folder, "variables"), "' lacks ", missing.variables.size(),
                  " of the model's variables, the first '", missing.variables[0], "'");
  }
  return inspected;
}

std::string place_of(const MissingOp& missing) {
  return missing.function.empty() ? "the graph" : cat("function '", missing.function, "'");
}

// At most so many of a list of names; the rest is counted.
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  if (names.size() <= kShown) return join(names, ", ");
  return cat(join(std::span(names).first(kShown), ", "), " and ", names.size() - kShown, " more");
}

void print_missing(const Inspected& inspected) {
  const MissingParts& missing = inspected.missing;
  if (missing.ops.empty()) print("Ops that are not implemented: none\n");
  std::map<std::string_view, std::vector<const MissingOp*>> by_op;
  for (const MissingOp& op : missing.ops) by_op[op.op].push_back(&op);
  if (!by_op.empty()) print(cat("Ops that are not implemented: ", by_op.size(), "\n"));
  for (const auto& [op, places] : by_op) {
    int64_t nodes = 0;
    for (const MissingOp* place : places) nodes += place->nodes;
    print(cat("  ", op, ": ", nodes, nodes == 1 ? " node, '" : " nodes, the first '",
              places[0]->node, "' in ", place_of(*places[0])));
    print(places.size() == 1 ? "\n" : cat(", in ", places.size(), " functions\n"));
  }
  if (inspected.load.ok()) {
    print(cat("Variables: ", inspected.variables.count, ", ",
              human_bytes(inspected.variables.bytes), "\n"));
  } else {
    print(cat("Variables: ", missing.variables_declared, "\n"));
  }
  if (!missing.variables.empty()) {
    print(cat("Variables that are missing: ", missing.variables.size(), " (",
              some_of(missing.variables), ")\n"));
  }
  if (!missing.assets.empty()) {
    print(cat("Assets that are missing: ", some_of(missing.assets), "\n"));
  }
  if (!inspected.load.ok()) {
    print(cat("The model cannot be loaded: ", code_name(inspected.load.code()), ": ",
              message_of(inspected.load), "\n"));
  }
}

void print_ops(const SavedModel& model, const std::vector<std::string>& tags) {
  std::vector<std::string> quoted_tags, quoted_ops;
  for (const std::string& tag : tags) quoted_tags.push_back(cat("'", tag, "'"));
  for (const std::string& op : model.ops()) quoted_ops.push_back(cat("'", op, "'"));
  print(cat("The MetaGraph with tag set [", join(quoted_tags, ", "),
            "] contains the following ops: {", join(quoted_ops, ", "), "}\n"));
}

void print_all(const Inspected& inspected, const std::vector<std::string>& tags) {
  const SavedModel& model = *inspected.model;
  print(cat("\nMetaGraphDef with tag-set: '", join(tags, ", "),
            "' contains the following SignatureDefs:\n"));
  for (const Signature& signature : model.declared_signatures()) {
    print(cat("\nsignature_def['", signature.name, "']:\n"));
    print_signature(signature, "  ");
    if (!model.find_signature(signature.name)) continue;
    print(cat("  Requests may be merged: ", merge_verdict(model, signature), "\n"));
  }
  print_ops(model, tags);
  print_missing(inspected);
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

std::string json_missing(const MissingParts& missing) {
  std::vector<std::string> ops;
  for (const MissingOp& op : missing.ops) {
    ops.push_back(cat("{\"op\":", json_string(op.op), ",\"function\":", json_string(op.function),
                      ",\"node\":", json_string(op.node), ",\"nodes\":", op.nodes, "}"));
  }
  return cat("{\"ops\":[", join(ops, ","), "],\"variables\":", json_strings(missing.variables),
             ",\"assets\":", json_strings(missing.assets), "}");
}

std::string host_work_line(const HostWork& work) {
  if (work.steps.empty()) return "nothing runs on the host";
  return cat("on the host run ", work.ops(), "; a run copies ", human_bytes(work.copied_bytes),
             " for that");
}

std::string json_host_work(const HostWork& work) {
  std::vector<std::string> steps;
  for (const HostWork::Step& step : work.steps) {
    steps.push_back(
        cat("{\"op\":", json_string(step.op), ",\"node\":", json_string(step.node), "}"));
  }
  return cat("{\"on_host\":[", join(steps, ","), "],\"copied_bytes\":", work.copied_bytes, "}");
}

Status print_host_work(const SavedModel& model, const InspectFlags& flags) {
  const std::string device = DeviceRegistry::global().preferred()->name();
  std::vector<std::string> by_signature;
  for (const Signature& signature : model.signatures()) {
    if (!flags.signature.empty() && signature.name != flags.signature) continue;
    TENON_ASSIGN_OR_RETURN(const HostWork work, host_work(model, signature));
    by_signature.push_back(flags.json ? cat(json_string(signature.name), ":", json_host_work(work))
                                      : cat("signature_def['", signature.name, "'] on ", device,
                                            ": ", host_work_line(work), "\n"));
  }
  print(flags.json ? cat("{\"device\":", json_string(device), ",\"signatures\":{",
                         join(by_signature, ","), "}}\n")
                   : join(by_signature, ""));
  return absl::OkStatus();
}

void print_json(const Inspected& inspected, const std::vector<std::string>& tags) {
  const SavedModel& model = *inspected.model;
  std::vector<std::string> signatures;
  for (const Signature& signature : model.signatures()) {
    signatures.push_back(cat(json_string(signature.name),
                             ":{\"inputs\":", json_tensors(signature.inputs),
                             ",\"outputs\":", json_tensors(signature.outputs),
                             ",\"method_name\":", json_string(signature.method_name),
                             ",\"mergeable\":", json_string(merge_verdict(model, signature)), "}"));
  }
  std::set<std::string> missing_ops;
  for (const MissingOp& op : inspected.missing.ops) missing_ops.insert(op.op);
  const bool loads = inspected.load.ok();
  print(cat("{\"tags\":", json_strings(tags), ",\"signatures\":{", join(signatures, ","),
            "},\"ops\":", json_strings(model.ops()), ",\"missing_ops\":", json_strings(missing_ops),
            ",\"missing\":", json_missing(inspected.missing), ",\"variables\":",
            loads ? inspected.variables.count : inspected.missing.variables_declared,
            ",\"variable_bytes\":", inspected.variables.bytes, ",\"loads\":", loads));
  if (!loads) print(cat(",\"error\":", json_string(inspected.load.ToString())));
  print("}\n");
}

Status print_tag_sets(const std::vector<std::vector<std::string>>& sets) {
  print("The given SavedModel contains the following tag-sets:\n");
  for (const auto& tags : sets) print(cat("'", join(tags, ", "), "'\n"));
  return absl::OkStatus();
}

void print_keys(const SavedModel& model) {
  print("The given SavedModel MetaGraphDef contains SignatureDefs with the following keys:\n");
  for (const Signature& signature : model.declared_signatures()) {
    print(cat("SignatureDef key: \"", signature.name, "\"\n"));
  }
}

Status show(const Inspected& inspected, const std::vector<std::string>& tags,
            const InspectFlags& flags) {
  const SavedModel& model = *inspected.model;
  if (!flags.device.empty()) {
    TENON_RETURN_IF_ERROR(inspected.load);
    return print_host_work(model, flags);
  }
  if (flags.json) {
    print_json(inspected, tags);
    return absl::OkStatus();
  }
  if (flags.graph) {
    TENON_ASSIGN_OR_RETURN(
        const Signature* signature,
        require_signature(model, flags.signature.empty() ? "serving_default" : flags.signature));
    TENON_ASSIGN_OR_RETURN(const auto executable, model.executable(*signature));
    print(to_string(executable->graph()));
    return absl::OkStatus();
  }
  if (flags.list_ops) print_ops(model, tags);
  if (!flags.signature.empty()) {
    TENON_ASSIGN_OR_RETURN(const Signature* signature, require_signature(model, flags.signature));
    print_signature(*signature, "");
  } else if (flags.all) {
    print_all(inspected, tags);
  } else {
    print_keys(model);
  }
  return absl::OkStatus();
}

Status inspect(const InspectFlags& flags) {
  // It says who reads models in other formats.
  TENON_RETURN_IF_ERROR(start_engine());
  if (!flags.device.empty()) {
    DeviceRegistry& devices = DeviceRegistry::global();
    TENON_ASSIGN_OR_RETURN(Device * device, devices.find(flags.device));
    devices.prefer(device);
  }
  if (is_model_file(flags.model) && !flags.device.empty()) {
    return wrong_usage("--device is for SavedModels");
  }
  if (is_model_file(flags.model)) return inspect_file(flags.model, flags.json);
  TENON_ASSIGN_OR_RETURN(const std::string folder, model_folder(flags.model));
  TENON_ASSIGN_OR_RETURN(auto sets, SavedModel::tag_sets(folder));
  for (auto& tags : sets) std::sort(tags.begin(), tags.end());
  std::sort(sets.begin(), sets.end());
  const bool wants_graph = flags.all || flags.json || flags.graph || flags.list_ops ||
                           !flags.signature.empty() || !flags.device.empty();
  if (flags.tag_set.empty() && !wants_graph) return print_tag_sets(sets);
  if (!flags.tag_set.empty()) {
    sets = {parse_tags(flags.tag_set)};
  } else if (!flags.all && !flags.json && sets.size() > 1) {
    std::vector<std::string> names;
    for (const auto& tags : sets) names.push_back(join(tags, ","));
    return wrong_usage(cat("'", folder, "' has ", sets.size(),
                           " tag sets; name one with --tag_set: ", join(names, " or ")));
  }
  for (const auto& tags : sets) {
    TENON_ASSIGN_OR_RETURN(const Inspected inspected, read_model(folder, tags));
    TENON_RETURN_IF_ERROR(show(inspected, tags, flags));
  }
  return absl::OkStatus();
}

}  // namespace

int inspect_command(Words words) {
  InspectFlags f;
  const Flag flags[] = {
      {"model", &f.model, "DIR|FILE", "the SavedModel; FILE.tflite, .keras, .h5, .pb, a checkpoint",
       true, "dir,model_base_path"},
      {"tag_set", &f.tag_set, "TAGS", "tags of the MetaGraph, separated by commas"},
      {"signature_def", &f.signature, "NAME", "show this signature's inputs and outputs"},
      {"all", &f.all, "", "show everything"},
      {"list_ops", &f.list_ops, "", "list the ops"},
      {"graph", &f.graph, "", "print the signature's graph after the passes"},
      {"device", &f.device, "NAME", "show which ops that device leaves to the host"},
      {"json", &f.json, "", "everything as one JSON object a tag set"},
  };
  return run_verb(kInspectUsage, flags, words, [&](const Operands&) { return inspect(f); });
}

}  // namespace tenon::cli
