// Servable: one loaded version of a model, as the serving path sees it.
//
// The serving path knows models by this interface alone; the engine implements it, and tests make
// their own. Everything is const and thread-safe; a Servable lives as long as somebody holds it.
#pragma once

#include <string>
#include <vector>

#include "tenon/core/tensor.h"
#include "tenon/runtime/run_turn.h"
#include "tenon/saved_model/golden.h"

namespace tenon::serving {

// The signature that is run when a request names none.
inline constexpr std::string_view kDefaultSignature = "serving_default";

struct TensorSpec {
  std::string name;  // the alias that requests use: "x"
  DType dtype = DType::kInvalid;
  PartialShape shape;  // a hint: TensorFlow does not check fed shapes against it
};

struct Signature {
  std::string name;
  std::string method_name;          // "tensorflow/serving/predict"
  std::vector<TensorSpec> inputs;   // in the order of their names
  std::vector<TensorSpec> outputs;  // in the order of their names
  // One an input: its default where the SavedModel has one, else without value. May be empty.
  std::vector<Tensor> defaults;
};

class Servable {
 public:
  virtual ~Servable() = default;

  virtual const std::vector<Signature>& signatures() const = 0;

  // `inputs` are in the order of `signature.inputs`, of their dtypes; `outputs` are indices into
  // `signature.outputs`. Returns one tensor for each of `outputs`, valid until released.
  // DEADLINE_EXCEEDED or CANCELLED when `limits` end it.
  virtual StatusOr<std::vector<Tensor>> run(const Signature& signature,
                                            std::span<const Tensor> inputs,
                                            std::span<const int> outputs,
                                            const RunLimits& limits) const = 0;

  // What is run together: of one signature, these outputs.
  struct Part {
    const Signature* signature;
    std::span<const int> outputs;
  };
  // Runs all of `parts`, each of which has one input, on the same tensor: in one run of the model
  // where their inputs are one in its graph. Results as from run(), one list a part.
  virtual StatusOr<std::vector<std::vector<Tensor>>> run_together(std::span<const Part> parts,
                                                                  const Tensor& input,
                                                                  const RunLimits& limits) const;

  // Is row i of all outputs made of row i of the inputs alone, with the same bits whatever rows are
  // run beside it? Of inputs of the declared shapes, all with as many rows.
  virtual bool merges_rows(const Signature& /*signature*/) const { return false; }

  // The same version without the queues in which its runs wait to be merged.
  virtual const Servable& unmerged() const { return *this; }

  // How far two versions' answers may be apart.
  virtual Tolerance tolerance(std::string_view /*signature*/, std::string_view /*output*/) const {
    return {};
  }

  // When a run began last, in steady_microseconds(); 0: it is not known.
  virtual int64_t last_used() const { return 0; }

  // tensorflow.serving.SignatureDefMap, serialized: what GetModelMetadata answers.
  virtual std::string signature_def_map() const = 0;
};

// Null when there is none of that name; an empty name means kDefaultSignature.
const Signature* find_signature(const Servable& servable, std::string_view name);

}  // namespace tenon::serving
