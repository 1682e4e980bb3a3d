#include "tenon/saved_model/golden.h"

#include "tenon/graph/batch_dimension.h"
#include "tenon/graph/effects.h"

namespace tenon {
namespace {

constexpr Tolerance kBfloat16Tolerance{2e-2, 1e-6};

// A record is replayed row by row for so many of its rows, and repeated to so many.
constexpr int64_t kSingleRows = 4, kLargerBatch = 33;

// A rounding error of the dtype, relative to the value.
double rounding_of(DType dtype) {
  if (dtype == DType::kHalf) return 0x1p-10;
  if (dtype == DType::kBfloat16) return 0x1p-7;
  return 0;
}

template <class T>
std::complex<double> number(const T& value) {
  if constexpr (requires { value.real(); }) {
    return {static_cast<double>(value.real()), static_cast<double>(value.imag())};
  } else {
    return {static_cast<double>(static_cast<float>(value)), 0};
  }
}
template <>
std::complex<double> number(const double& value) {
  return {value, 0};
}

bool is_nan(std::complex<double> value) {
  return std::isnan(value.real()) || std::isnan(value.imag());
}
bool is_finite(std::complex<double> value) {
  return std::isfinite(value.real()) && std::isfinite(value.imag());
}

template <class T>
void compare_numbers(std::span<const T> got, std::span<const T> want, Tolerance tolerance,
                     OutputDrift& result) {
  double largest = 0;
  for (const T& value : want) {
    if (is_finite(number(value))) largest = std::max(largest, std::abs(number(value)));
  }
  result.allowed = tolerance.relative * largest + tolerance.absolute;
  bool passed = true;
  for (size_t i = 0; i < want.size(); ++i) {
    const auto a = number(got[i]), b = number(want[i]);
    if (a == b || (is_nan(a) && is_nan(b))) continue;
    const double distance =
        is_finite(a) && is_finite(b) ? std::abs(a - b) : std::numeric_limits<double>::infinity();
    result.drift = std::max(result.drift, distance);
    passed &= distance <= result.allowed;
  }
  result.passed = passed;
}

bool equal_elements(const Tensor& a, const Tensor& b) {
  if (a.dtype() == DType::kString) {
    const auto x = a.span<std::string_view>(), y = b.span<std::string_view>();
    return std::equal(x.begin(), x.end(), y.begin());
  }
  return a.num_bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.num_bytes()) == 0;
}

// Why the signature's results differ from call to call; empty when they do not.
StatusOr<std::string> exemption_of(const SavedModel& model, const Signature& signature) {
  TENON_ASSIGN_OR_RETURN(const Graph graph, model.function(signature));
  TENON_ASSIGN_OR_RETURN(const std::string writer, find_effect(graph, Effect::kWrite));
  if (!writer.empty()) return cat("it changes state: ", writer);
  TENON_ASSIGN_OR_RETURN(const std::string random, find_effect(graph, Effect::kRandom));
  if (!random.empty()) return cat("it draws random numbers: ", random);
  return std::string();
}

StatusOr<std::vector<Tensor>> run_record(const SavedModel& model, const Signature& signature,
                                         const GoldenRecord& record) {
  std::vector<Tensor> args;
  size_t used = 0;
  for (const SignatureTensor& input : signature.inputs) {
    const auto it = record.inputs.find(input.name);
    used += it != record.inputs.end();
    args.push_back(it == record.inputs.end() ? input.fallback() : it->second);
    if (!args.back().has_value()) {
      return invalid_argument("the record lacks the input '", input.name, "'");
    }
  }
  if (used != record.inputs.size()) {
    return invalid_argument("the record has inputs that the signature lacks");
  }
  TENON_ASSIGN_OR_RETURN(const auto executable, model.executable(signature));
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(executable->run(args, results));
  return results;
}

// The rows of a record's tensors; 0 where they differ.
int64_t rows_of(const GoldenRecord& record) {
  int64_t rows = -1;
  for (const auto* tensors : {&record.inputs, &record.outputs}) {
    for (const auto& [name, tensor] : *tensors) {
      if (tensor.rank() == 0 || (rows >= 0 && tensor.dim(0) != rows)) return 0;
      rows = tensor.dim(0);
    }
  }
  return std::max<int64_t>(rows, 0);
}

// Rows begin, begin + 1, ... of a tensor, from the first again after the last.
StatusOr<Tensor> repeat_rows(const Tensor& tensor, int64_t begin, int64_t count) {
  if (begin + count <= tensor.dim(0)) return tensor.slice(begin, count);
  Shape shape = tensor.shape();
  shape.set(0, count);
  TENON_ASSIGN_OR_RETURN(Tensor repeated, Tensor::allocate(tensor.dtype(), shape));
  for (int64_t row = 0; row < count; ++row) {
    const Tensor from = tensor.slice((begin + row) % tensor.dim(0), 1);
    Tensor to = repeated.slice(row, 1);
    std::memcpy(to.mutable_raw(), from.raw(), from.num_bytes());
  }
  return repeated;
}

// The record of some rows of `record`, which has `rows_of`(record) > 0.
StatusOr<GoldenRecord> some_rows(const GoldenRecord& record, int64_t begin, int64_t count) {
  GoldenRecord some{record.signature, {}, {}};
  for (const auto& [name, tensor] : record.inputs) {
    TENON_ASSIGN_OR_RETURN(some.inputs[name], repeat_rows(tensor, begin, count));
  }
  for (const auto& [name, tensor] : record.outputs) {
    TENON_ASSIGN_OR_RETURN(some.outputs[name], repeat_rows(tensor, begin, count));
  }
  return some;
}

// Can the record be replayed in other batches? Every row is computed by itself, from inputs with
// rows, and no tensor holds objects.
StatusOr<bool> has_free_rows(const SavedModel& model, const Signature& signature,
                             const GoldenRecord& record) {
  if (rows_of(record) == 0) return false;
  for (const auto* tensors : {&record.inputs, &record.outputs}) {
    for (const auto& [name, tensor] : *tensors) {
      if (is_object(tensor.dtype())) return false;
    }
  }
  TENON_ASSIGN_OR_RETURN(const Graph graph, model.function(signature));
  TENON_ASSIGN_OR_RETURN(const MergeVerdict verdict, may_merge_rows(graph));
  return verdict.mergeable;
}

// A logged regression has one value a row, and no dimension of 1 that the output may have beside.
Tensor as_recorded(const Signature& signature, const Tensor& got, const Tensor& want) {
  const bool column = signature.method_name == "tensorflow/serving/regress" && want.rank() == 1 &&
                      got.rank() == 2 && got.dim(0) == want.dim(0) && got.dim(1) == 1;
  return column ? got.reshaped(want.shape()) : got;
}

class Replay {
 public:
  Replay(const SavedModel& model, GoldenManifest manifest, Precision precision,
         GoldenBatches batches)
      : model_(model), manifest_(std::move(manifest)), precision_(precision), batches_(batches) {}

  void replay(size_t index, const GoldenRecord& record, GoldenReport& report) {
    const Signature* signature = model_.find_signature(record.signature);
    if (!signature) {
      return fail(index, record, not_found("there is no such signature"), report);
    }
    if (report.exempt.contains(record.signature)) return;
    const StatusOr<std::string> exemption = exemption_of(model_, *signature);
    if (!exemption.ok()) return fail(index, record, exemption.status(), report);
    if (!exemption->empty()) {
      report.exempt[record.signature] = *exemption;
      return;
    }
    StatusOr<std::vector<OutputDrift>> drifts = compare(*signature, record);
    if (!drifts.ok()) return fail(index, record, drifts.status(), report);
    ++report.replayed;
    if (batches_ == GoldenBatches::kOthersToo) {
      const Status status = replay_other_batches(*signature, record, *drifts);
      if (!status.ok()) return fail(index, record, status, report);
    }
    for (OutputDrift& drift : *drifts) {
      drift.record = index;
      report.outputs.push_back(std::move(drift));
    }
  }

 private:
  // How far each output of the record is missed.
  StatusOr<std::vector<OutputDrift>> compare(const Signature& signature,
                                             const GoldenRecord& record) const {
    TENON_ASSIGN_OR_RETURN(const std::vector<Tensor> results,
                           run_record(model_, signature, record));
    std::vector<OutputDrift> drifts;
    for (size_t i = 0; i < signature.outputs.size(); ++i) {
      const std::string& output = signature.outputs[i].name;
      const auto want = record.outputs.find(output);
      if (want == record.outputs.end()) continue;
      OutputDrift drift =
          compare_output(as_recorded(signature, results[i], want->second), want->second,
                         manifest_.allowed(cat(record.signature, "/", output), precision_));
      drift.signature = record.signature;
      drift.output = output;
      drifts.push_back(std::move(drift));
    }
    return drifts;
  }

  // Rows alone, and all of them over again up to a larger batch. The worst counts.
  Status replay_other_batches(const Signature& signature, const GoldenRecord& record,
                              std::vector<OutputDrift>& drifts) const {
    TENON_ASSIGN_OR_RETURN(const bool free_rows, has_free_rows(model_, signature, record));
    if (!free_rows) return absl::OkStatus();
    const int64_t rows = rows_of(record);
    for (int64_t row = 0; rows > 1 && row < std::min(rows, kSingleRows); ++row) {
      TENON_RETURN_IF_ERROR(
          take_worst(signature, record, row, 1, cat("row ", row + 1, " alone"), drifts));
    }
    if (rows >= kLargerBatch) return absl::OkStatus();
    return take_worst(signature, record, 0, kLargerBatch,
                      cat("repeated to ", kLargerBatch, " rows"), drifts);
  }
  Status take_worst(const Signature& signature, const GoldenRecord& record, int64_t begin,
                    int64_t count, const std::string& how, std::vector<OutputDrift>& drifts) const {
    TENON_ASSIGN_OR_RETURN(const GoldenRecord some, some_rows(record, begin, count));
    StatusOr<std::vector<OutputDrift>> found = compare(signature, some);
    if (!found.ok()) return with_context(found.status(), how);
    for (size_t i = 0; i < drifts.size(); ++i) {
      OutputDrift& worst = drifts[i];
      OutputDrift& drift = (*found)[i];
      if (worst.passed && !drift.passed) {
        drift.status = with_context(drift.status, how);
        worst = std::move(drift);
      } else if (worst.passed == drift.passed && drift.drift > worst.drift) {
        worst.drift = drift.drift;
      }
    }
    return absl::OkStatus();
  }

  static void fail(size_t index, const GoldenRecord& record, Status status, GoldenReport& report) {
    OutputDrift drift;
    drift.record = index;
    drift.signature = record.signature;
    drift.status = std::move(status);
    report.outputs.push_back(std::move(drift));
  }

  const SavedModel& model_;
  GoldenManifest manifest_;
  Precision precision_;
  GoldenBatches batches_;
};

}  // namespace

Tolerance GoldenManifest::allowed(const std::string& output, Precision multiplies) const {
  const auto it = outputs.find(output);
  if (it != outputs.end()) return it->second;
  if (tolerance) return *tolerance;
  return multiplies == Precision::kBfloat16 ? kBfloat16Tolerance : Tolerance();
}

OutputDrift compare_output(const Tensor& got, const Tensor& want, Tolerance tolerance) {
  OutputDrift result;
  if (got.dtype() != want.dtype() || got.shape() != want.shape()) {
    result.status = invalid_argument("the output is ", got.dtype(), got.shape(),
                                     ", the record has ", want.dtype(), want.shape());
    return result;
  }
  tolerance.relative = std::max(tolerance.relative, rounding_of(want.dtype()));
  using Numbers =
      TypeList<float, double, float16, bfloat16, std::complex<float>, std::complex<double>>;
  const bool numbers = visit<Numbers>(want.dtype(), [&]<class T>() {
    compare_numbers(got.span<T>(), want.span<T>(), tolerance, result);
  });
  if (!numbers) result.passed = equal_elements(got, want);
  if (!result.passed) {
    result.status = numbers ? failed_precondition("the output is off by ", result.drift,
                                                  ", allowed is ", result.allowed)
                            : failed_precondition("the output differs from the record");
  }
  return result;
}

StatusOr<GoldenRecord> make_golden(std::string signature, const Graph& function,
                                   const std::shared_ptr<ModelState>& state,
                                   std::map<std::string, Tensor> inputs) {
  TENON_ASSIGN_OR_RETURN(const auto executable, Executable::create(function, state));
  std::vector<Tensor> args;
  for (NodeId arg : function.args) {
    const auto it = inputs.find(function.node(arg).name);
    if (it == inputs.end()) {
      return invalid_argument("a golden record of '", signature, "' needs the input '",
                              function.node(arg).name, "'");
    }
    args.push_back(it->second);
  }
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(executable->run(args, results));
  GoldenRecord record{std::move(signature), std::move(inputs), {}};
  for (size_t i = 0; i < results.size(); ++i) {
    record.outputs[function.result_names[i]] = results[i].keep();
  }
  return record;
}

bool GoldenReport::passed() const {
  return std::all_of(outputs.begin(), outputs.end(), [](const auto& o) { return o.passed; });
}

StatusOr<GoldenReport> replay_goldens(const SavedModel& model, Precision precision,
                                      GoldenBatches batches) {
  TENON_ASSIGN_OR_RETURN(const GoldenRecords goldens, read_goldens(model.folder()));
  return replay_records(model, goldens, precision, batches);
}

StatusOr<GoldenReport> replay_records(const SavedModel& model, const GoldenRecords& goldens,
                                      Precision precision, GoldenBatches batches) {
  TENON_ASSIGN_OR_RETURN(GoldenManifest manifest, read_manifest(model.folder()));
  GoldenReport report;
  report.others = goldens.others;
  Replay replay(model, std::move(manifest), precision, batches);
  for (size_t i = 0; i < goldens.records.size(); ++i) {
    replay.replay(i, goldens.records[i], report);
  }
  return report;
}

}  // namespace tenon
