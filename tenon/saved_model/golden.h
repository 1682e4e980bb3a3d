// Golden records: requests with the answers that a model gave when it was exported, kept in it as
// assets.extra/tf_serving_warmup_requests (a TFRecord of PredictionLogs, which TensorFlow Serving
// replays without looking at the answers), and replayed to see whether it still gives them.
#pragma once

#include "tenon/saved_model/saved_model.h"

namespace tenon {

inline constexpr std::string_view kGoldenFile = "tf_serving_warmup_requests";  // in assets.extra
inline constexpr std::string_view kManifestFile = "tenon.json";                // in assets.extra

struct GoldenRecord {
  std::string signature;
  std::map<std::string, Tensor> inputs;  // without those left out for their default
  std::map<std::string, Tensor> outputs;
};

struct GoldenRecords {
  std::vector<GoldenRecord> records;
  size_t others = 0;  // records of other kinds (classify, regress) or without an answer
};

// The records of a model's folder; none when there is no file. DATA_LOSS when it is damaged.
StatusOr<GoldenRecords> read_goldens(const std::string& folder);

// One serialized PredictionLog; null for one of another kind, or without an answer. DATA_LOSS where
// it is malformed.
StatusOr<std::optional<GoldenRecord>> parse_golden(std::string_view log);

// The content of the file.
std::string goldens_to_file(std::span<const GoldenRecord> records);

// The record of one call of `function`, with its present variables.
StatusOr<GoldenRecord> make_golden(std::string signature, const Graph& function,
                                   const std::shared_ptr<ModelState>& state,
                                   std::map<std::string, Tensor> inputs);

// |got - want| <= relative * max|want| + absolute, element by element.
struct Tolerance {
  double relative = 1e-4;
  double absolute = 1e-6;
};

// assets.extra/tenon.json: how the answers were made, and how far they may be missed.
struct GoldenManifest {
  std::string build;      // "tenon 0.1.0"
  std::string isa;        // "AVX3_SPR"
  std::string precision;  // "f32"
  std::optional<Tolerance> tolerance;
  std::map<std::string, Tolerance> outputs;  // by "signature/output"; before `tolerance`

  // How far an output ("signature/output") may be missed by a model that multiplies in `precision`.
  Tolerance allowed(const std::string& output, Precision precision) const;
};

// Empty when there is no such file; INVALID_ARGUMENT when it is not what it should be.
StatusOr<GoldenManifest> read_manifest(const std::string& folder);
std::string manifest_to_json(const GoldenManifest& manifest);

struct OutputDrift {
  size_t record = 0;  // its place in the file
  std::string signature;
  std::string output;  // empty when the signature could not be run
  double drift = 0;    // the largest |got - want|
  double allowed = 0;
  bool passed = false;
  Status status;  // why it did not pass
};

// Integers, booleans and strings must be equal, floats within the tolerance; NaN equals NaN. The
// tolerance of float16 and bfloat16 outputs is at least a rounding error of theirs.
OutputDrift compare_output(const Tensor& got, const Tensor& want, Tolerance tolerance);

struct GoldenReport {
  std::vector<OutputDrift> outputs;           // of every record replayed, in their order
  size_t replayed = 0;                        // records
  size_t others = 0;                          // records that are not replayed
  std::map<std::string, std::string> exempt;  // signature -> why its answers are not compared
  bool passed() const;
};

// The batches in which records are replayed.
enum class GoldenBatches {
  kAsRecorded,
  // Also row by row, and repeated to a larger batch, where the signature computes each row by
  // itself (may_merge_rows): the answers must be the same.
  kOthersToo,
};

// Runs every record through the model. `precision` is what the model was loaded with: bfloat16
// multiplies may miss by 2e-2 where the manifest does not say otherwise. Signatures that write
// variables or draw random numbers are exempt. A signature that cannot be run fails its records.
StatusOr<GoldenReport> replay_goldens(const SavedModel& model,
                                      Precision precision = Precision::kFloat32,
                                      GoldenBatches batches = GoldenBatches::kAsRecorded);

// The same with records that stand elsewhere.
StatusOr<GoldenReport> replay_records(const SavedModel& model, const GoldenRecords& records,
                                      Precision precision, GoldenBatches batches);

}  // namespace tenon
