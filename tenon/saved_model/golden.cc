#include "tenon/saved_model/golden.h"

#include "tenon/graph/effects.h"

namespace tenon {
namespace {

constexpr Tolerance kBfloat16Tolerance{2e-2, 1e-6};

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

class Replay {
 public:
  Replay(const SavedModel& model, GoldenManifest manifest, Precision precision)
      : model_(model), manifest_(std::move(manifest)), precision_(precision) {}

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
    const StatusOr<std::vector<Tensor>> results = run_record(model_, *signature, record);
    if (!results.ok()) return fail(index, record, results.status(), report);
    ++report.replayed;
    for (size_t i = 0; i < signature->outputs.size(); ++i) {
      const std::string& output = signature->outputs[i].name;
      const auto want = record.outputs.find(output);
      if (want == record.outputs.end()) continue;
      OutputDrift drift = compare_output((*results)[i], want->second,
                                         tolerance(cat(record.signature, "/", output)));
      drift.record = index;
      drift.signature = record.signature;
      drift.output = output;
      report.outputs.push_back(std::move(drift));
    }
  }

 private:
  Tolerance tolerance(const std::string& output) const {
    const auto it = manifest_.outputs.find(output);
    if (it != manifest_.outputs.end()) return it->second;
    if (manifest_.tolerance) return *manifest_.tolerance;
    return precision_ == Precision::kBfloat16 ? kBfloat16Tolerance : Tolerance();
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
};

}  // namespace

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

StatusOr<GoldenReport> replay_goldens(const SavedModel& model, Precision precision) {
  TENON_ASSIGN_OR_RETURN(const GoldenRecords goldens, read_goldens(model.folder()));
  TENON_ASSIGN_OR_RETURN(GoldenManifest manifest, read_manifest(model.folder()));
  GoldenReport report;
  report.others = goldens.others;
  Replay replay(model, std::move(manifest), precision);
  for (size_t i = 0; i < goldens.records.size(); ++i) {
    replay.replay(i, goldens.records[i], report);
  }
  return report;
}

}  // namespace tenon
