#include "tenon/lite/writer/recorder.h"

#include "tenon/base/files.h"

namespace tenon::lite {
namespace {

constexpr int64_t kMostExamples = 32;  // in one run, where the model takes any number

std::string place_name(size_t place) { return cat("place_", place); }

std::unique_ptr<schema::TensorMapT> named_place(size_t place, int tensor) {
  auto map = std::make_unique<schema::TensorMapT>();
  map->name = place_name(place);
  map->tensor_index = static_cast<uint32_t>(tensor);
  return map;
}

// The model with one signature, whose inputs and outputs are named by their places.
StatusOr<std::string> bytes_to_record(const LiteModel& model, int index,
                                      const std::vector<int>& tensors) {
  LiteModel recorded = model;
  schema::SubGraphT& graph = recorded.subgraph(index);
  graph.outputs = tensors;
  auto def = std::make_unique<schema::SignatureDefT>();
  def->signature_key = "record";
  def->subgraph_index = static_cast<uint32_t>(index);
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    def->inputs.push_back(named_place(i, graph.inputs[i]));
  }
  for (size_t i = 0; i < tensors.size(); ++i) def->outputs.push_back(named_place(i, tensors[i]));
  recorded.model().signature_defs.clear();
  recorded.model().signature_defs.push_back(std::move(def));
  return recorded.bytes();
}

const schema::SignatureDefT* signature_of(const LiteModel& model, int index) {
  for (const auto& def : model.model().signature_defs) {
    if (static_cast<int>(def->subgraph_index) == index) return def.get();
  }
  return nullptr;
}

}  // namespace

StatusOr<Recorder> Recorder::create(const LiteModel& model, int index, std::vector<int> tensors,
                                    NamedArrays arrays) {
  Recorder recorder;
  const schema::SignatureDefT* def = signature_of(model, index);
  if (!def) return internal("subgraph ", index, " has no signature");
  TENON_ASSIGN_OR_RETURN(const std::string bytes, bytes_to_record(model, index, tensors));
  TENON_ASSIGN_OR_RETURN(const TemporaryDirectory folder, TemporaryDirectory::create());
  TENON_RETURN_IF_ERROR(write_file(join_path(folder.path(), "model.tflite"), bytes));
  TENON_ASSIGN_OR_RETURN(recorder.model_, SavedModel::load(folder.path()));
  const Signature& signature = recorder.model_->signatures().at(0);
  TENON_ASSIGN_OR_RETURN(recorder.executable_, recorder.model_->executable(signature));
  int64_t examples = -1;
  const schema::SubGraphT& graph = *model.model().subgraphs[static_cast<size_t>(index)];
  for (const SignatureTensor& input : signature.inputs) {
    size_t place = 0;
    while (place_name(place) != input.name) ++place;
    const auto named = std::find_if(def->inputs.begin(), def->inputs.end(), [&](const auto& map) {
      return static_cast<int>(map->tensor_index) == graph.inputs[place];
    });
    const auto it = std::find_if(arrays.begin(), arrays.end(),
                                 [&](const auto& array) { return array.first == (*named)->name; });
    if (it == arrays.end()) {
      return invalid_argument("the representative data has no array '", (*named)->name,
                              "', an input of signature '", def->signature_key, "'");
    }
    const Tensor& array = it->second;
    if (array.dtype() != input.dtype || array.rank() < 1 || array.dim(0) < 1 ||
        (examples >= 0 && array.dim(0) != examples)) {
      return invalid_argument("the representative array '", it->first, "' is ", array.dtype(), " ",
                              array.shape(), "; expected ", input.dtype,
                              " with as many examples as the others");
    }
    examples = array.dim(0);
    const bool open = !input.shape.has_rank() || input.shape.rank() < 1 || input.shape[0] < 0;
    recorder.batch_ = open ? std::min(examples, kMostExamples) : input.shape[0];
    recorder.arrays_.push_back(array);
  }
  recorder.batches_ = static_cast<int>(examples / std::max<int64_t>(recorder.batch_, 1));
  if (recorder.batches_ == 0) {
    return invalid_argument("the representative data has ", examples, " examples, signature '",
                            def->signature_key, "' takes ", recorder.batch_, " at a time");
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& outputs = signature.outputs;
    recorder.place_.push_back(static_cast<size_t>(
        std::find_if(outputs.begin(), outputs.end(),
                     [&](const SignatureTensor& output) { return output.name == place_name(i); }) -
        outputs.begin()));
  }
  return recorder;
}

Status Recorder::run(int index, std::vector<Tensor>& values) {
  std::vector<Tensor> args, results;
  for (const Tensor& array : arrays_) args.push_back(array.slice(index * batch_, batch_));
  TENON_RETURN_IF_ERROR(executable_->run(args, results));
  values.clear();
  for (size_t place : place_) values.push_back(results[place]);
  return absl::OkStatus();
}

}  // namespace tenon::lite
