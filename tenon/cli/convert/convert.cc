#include "tenon/base/files.h"
#include "tenon/cli/convert/lite.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/model_source.h"
#include "tenon/cli/training/model_export.h"
#include "tenon/cli/verbs.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/saved_model/graph_file.h"
#include "tenon/saved_model/writer.h"

namespace tenon::cli {
namespace {

struct ConvertFlags {
  std::string model, export_dir, to;
  std::vector<std::string> inputs, outputs;
  ConvertLiteFlags lite;
};

constexpr Usage kConvertUsage = {
    .verb = "convert",
    .what =
        "Turns a model of another format into a SavedModel: a frozen GraphDef (.pb, .pbtxt), "
        "TensorFlow 1's\nMetaGraphDef beside its checkpoint (.meta), a file of Keras (.keras, "
        ".h5). With --to tflite, a SavedModel\nor a file of Keras into a model of TensorFlow "
        "Lite.",
    .example =
        "tenon convert frozen.pb --export_dir model/1\n"
        "  tenon convert model.ckpt.meta --inputs x=input:0 --outputs probabilities=softmax:0 "
        "--export_dir model/1\n"
        "  tenon convert model/1 --to tflite --quantize int8 --representative examples.npz "
        "--output model.tflite",
    .operands = "[FILE]",
    .operand_flag = "model"};

constexpr struct {
  std::string_view ending;
  std::string_view format;
  std::string_view instead;
} kForeign[] = {
    {".tflite", "TensorFlow Lite models", "export the model they were made from"},
    {".index", "checkpoints without their graph", "name the .meta file beside it"},
};

// A tensor and the name that requests will use for it.
struct Named {
  std::string name;
  std::string tensor;
};

// "name=tensor" or "tensor"; without any, those that the graph says itself. ":0" may be left out.
std::vector<Named> named_tensors(const std::vector<std::string>& given,
                                 const std::vector<std::string>& otherwise) {
  std::vector<Named> named;
  for (const std::string& text : given.empty() ? otherwise : given) {
    const size_t equals = text.find('=');
    Named& added = named.emplace_back();
    added.tensor = equals == text.npos ? text : text.substr(equals + 1);
    added.name = text.substr(0, std::min(equals, text.find(':')));
    if (added.tensor.find(':') == added.tensor.npos) added.tensor += ":0";
  }
  return named;
}

// The values of the graph's variables, from the checkpoint that FILE.meta belongs to.
Status read_variables(const std::string& file, const GraphFile& graph, ModelState& state) {
  if (graph.variables.empty()) return absl::OkStatus();
  if (!file.ends_with(".meta")) {
    return failed_precondition("'", file, "' is not frozen: it has ", graph.variables.size(),
                               " variables, the first '", graph.variables[0],
                               "'; freeze it, or convert the .meta file of its checkpoint");
  }
  TENON_ASSIGN_OR_RETURN(
      const auto bundle,
      BundleReader::open(file.substr(0, file.size() - std::string_view(".meta").size())));
  for (const std::string& name : graph.variables) {
    if (!bundle->contains(name)) continue;  // what only training needs may not be kept
    TENON_ASSIGN_OR_RETURN(Tensor value, bundle->read(name));
    TENON_RETURN_IF_ERROR(state.set_variable(name, std::move(value)));
  }
  return absl::OkStatus();
}

Status convert_graph(const ConvertFlags& flags) {
  TENON_ASSIGN_OR_RETURN(const GraphFile file, read_graph_file(flags.model));
  if (flags.outputs.empty() && flags.model.ends_with(".meta")) {
    return wrong_usage("--outputs is missing: a .meta file holds what training needs too");
  }
  ModelState state;
  TENON_RETURN_IF_ERROR(read_variables(flags.model, file, state));
  std::vector<std::string> feeds, names, fetches;
  for (const Named& input : named_tensors(flags.inputs, file.inputs)) {
    names.push_back(input.name);
    feeds.push_back(input.tensor);
  }
  const std::vector<Named> outputs = named_tensors(flags.outputs, file.outputs);
  if (outputs.empty()) return wrong_usage("--outputs is missing: every node of the graph is read");
  for (const Named& output : outputs) fetches.push_back(output.tensor);
  TENON_ASSIGN_OR_RETURN(Graph function, file.importer->extract(feeds, names, fetches, {}));
  function.result_names.clear();
  for (const Named& output : outputs) function.result_names.push_back(output.name);
  SavedModelSpec spec;
  spec.folder = flags.export_dir;
  spec.overwrite = flags.lite.overwrite;
  spec.state = &state;
  spec.endpoints.push_back({.name = "serve", .function = std::move(function)});
  return write_saved_model(spec);
}

// The flags that go with `--to tflite` alone, and those that do not.
Status check_target(const ConvertFlags& flags) {
  const ConvertLiteFlags& lite = flags.lite;
  if (flags.to != "tflite" && flags.to != "saved_model") {
    return wrong_usage(cat("--to is '", flags.to, "'; expected saved_model or tflite"));
  }
  if (flags.to == "tflite") {
    if (!flags.export_dir.empty()) return wrong_usage("--to tflite writes --output FILE");
    if (flags.inputs.empty() && flags.outputs.empty()) return absl::OkStatus();
    return wrong_usage("--inputs and --outputs are of graphs; --to tflite takes a SavedModel");
  }
  if (!lite.output.empty() || !lite.quantize.empty() || !lite.representative.empty() || lite.json) {
    return wrong_usage("--output, --quantize, --representative and --json go with --to tflite");
  }
  if (flags.export_dir.empty()) return wrong_usage("--export_dir is missing");
  return absl::OkStatus();
}

Status convert(ConvertFlags& flags) {
  TENON_RETURN_IF_ERROR(check_target(flags));
  for (const auto& foreign : kForeign) {
    if (!flags.model.ends_with(foreign.ending)) continue;
    return unimplemented("'", flags.model, "': ", foreign.format, " are not converted; ",
                         foreign.instead);
  }
  if (flags.to == "tflite") {
    TENON_RETURN_IF_ERROR(start_engine());
    flags.lite.model = flags.model;
    return convert_to_lite(flags.lite);
  }
  if (is_directory(flags.model)) {
    return invalid_argument("'", flags.model, "' is a folder; expected a model file");
  }
  TENON_RETURN_IF_ERROR(start_engine());
  if (!is_keras_file(flags.model)) return convert_graph(flags);
  if (!flags.inputs.empty() || !flags.outputs.empty()) {
    return wrong_usage("--inputs and --outputs are of graphs; a file of Keras names its own");
  }
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(flags.model, nullptr));
  return export_model(*model, flags.export_dir, nullptr, flags.lite.overwrite);
}

}  // namespace

int convert_command(Words words) {
  ConvertFlags f;
  f.to = "saved_model";
  const Flag flags[] = {
      {"model", &f.model, "FILE",
       "FILE.pb, FILE.pbtxt, FILE.meta, FILE.keras, FILE.h5 or a SavedModel", true},
      {"export_dir", &f.export_dir, "DIR/1", "the SavedModel's version folder"},
      {"inputs", &f.inputs, "X=TENSOR,...", "of a graph: what is fed; else its placeholders"},
      {"outputs", &f.outputs, "Y=TENSOR,...", "of a graph: what is given; else what no node reads"},
      {"overwrite", &f.lite.overwrite, "", "replace what stands there"},
      {"to", &f.to, "FORMAT", "saved_model or tflite"},
      {"output", &f.lite.output, "FILE.tflite", "of --to tflite; else the model's name"},
      {"quantize", &f.lite.quantize, "KIND", "of --to tflite: float16, dynamic, int8 or int16x8"},
      {"representative", &f.lite.representative, "DATA.npz",
       "of int8 and int16x8: examples by the names of the inputs"},
      {"json", &f.lite.json, "", "of --to tflite: what was lost in each layer, as JSON"},
  };
  return run_verb(kConvertUsage, flags, words, [&](const Operands&) { return convert(f); });
}

}  // namespace tenon::cli
