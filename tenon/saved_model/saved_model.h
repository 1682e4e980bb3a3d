// SavedModel: a model folder as TensorFlow, Keras or Tenon exported it, loaded and ready to run.
#pragma once

#include "tenon/graph/import.h"
#include "tenon/runtime/executable.h"

namespace tenon {

namespace saved_model_internal {
struct MetaGraph;
}

// One input or output of a signature.
struct SignatureTensor {
  std::string name;    // the alias that requests use: "x"
  std::string tensor;  // in the graph: "serving_default_x:0"
  DType dtype = DType::kInvalid;
  PartialShape shape;    // a hint: TensorFlow does not check fed shapes against it
  Tensor default_value;  // of inputs, by the signature; without value where there is none
  // Of inputs: what the graph itself takes when nothing is fed (TensorFlow 1's
  // PlaceholderWithDefault). TensorFlow Serving does not use it, saved_model_cli does.
  Tensor unfed_value;
  const Tensor& fallback() const { return default_value.has_value() ? default_value : unfed_value; }
};

struct Signature {
  std::string name;
  std::string method_name;
  std::vector<SignatureTensor> inputs;   // sorted by name
  std::vector<SignatureTensor> outputs;  // sorted by name
};

// The shapes of its inputs with 1 for each dimension that is left open. INVALID_ARGUMENT where an
// input may have any rank.
StatusOr<std::vector<Shape>> one_row_shapes(const Signature& signature);

struct LoadOptions {
  std::vector<std::string> tags = {"serve"};
  ExecutableOptions executable;
  bool warn = true;  // log which signatures cannot be run
};

// Immutable but for its variables; thread-safe.
class SavedModel {
 public:
  // Reads `folder`, restores the variables and runs the initialisation. NOT_FOUND when there is no
  // model or no MetaGraph with exactly these tags (the message names those there are), or where a
  // signature reads variables and variables/ is not there; DATA_LOSS for damaged variables;
  // UNIMPLEMENTED only when the restoration needs a missing op: a signature that does reports it
  // when it is asked for. A signature with sparse or composite tensors is left out. Where the
  // initialisation fails, signatures that use nothing but variables with values do without it.
  static StatusOr<std::shared_ptr<SavedModel>> load(const std::string& folder,
                                                    LoadOptions options = {});
  // As load(), but without variables and initialisation: what the model is, whatever of it is
  // missing. Its Executables are good for looking at, not for running.
  static StatusOr<std::shared_ptr<SavedModel>> read(const std::string& folder,
                                                    LoadOptions options = {});
  ~SavedModel();

  // The tag sets of a model folder, without loading it.
  static StatusOr<std::vector<std::vector<std::string>>> tag_sets(const std::string& folder);

  const std::string& folder() const { return folder_; }
  const std::vector<Signature>& signatures() const { return signatures_; }
  // The signatures and, as TensorFlow lists it among them, the initialisation: for showing.
  std::vector<Signature> declared_signatures() const;
  // Null when there is none of that name.
  const Signature* find_signature(std::string_view name) const;

  // The signature's Executable: takes its inputs and gives its outputs in the order of `signature`.
  // Planned at first use.
  StatusOr<std::shared_ptr<Executable>> executable(const Signature& signature) const;

  // Drops the Executable that executable() keeps, which makes it again when it is asked, and packed
  // weights that no other has. It lives on with whoever has it.
  void drop_executable(const std::string& signature) const;
  // Gives back the memory that runs have computed in and that none is using.
  void drop_idle_workspaces() const;

  // The function that computes the outputs from the inputs, before any pass.
  StatusOr<Graph> function(const Signature& signature) const;

  const std::shared_ptr<ModelState>& state() const { return state_; }
  const saved_model_internal::MetaGraph& meta_graph() const { return *meta_graph_; }
  // The signatures as they stand in the file: a serialized tensorflow.serving.SignatureDefMap.
  std::string signature_def_map() const;

  // Names of the ops that all signatures and functions together use.
  std::vector<std::string> ops() const;

  // Writes the variables' present values over those in the folder (`tenon run --save`).
  Status save_variables() const;

 private:
  SavedModel() = default;
  void find_unfed_values();
  Status restore();
  Status initialise();
  Status finish(const Status& initialised);
  std::string handle_without_value(const Graph& graph, bool variables_only) const;

  std::string folder_;
  LoadOptions options_;
  std::shared_ptr<const saved_model_internal::MetaGraph> meta_graph_;
  std::shared_ptr<GraphImporter> importer_;
  std::shared_ptr<ModelState> state_;
  std::unique_ptr<FileAccess> files_;
  std::vector<Signature> signatures_;
  std::map<std::string, std::string> checkpoint_keys_;  // variable name -> key in the bundle
  std::map<std::string, Status> unusable_;              // signature -> why
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<Executable>> executables_;
};

}  // namespace tenon
