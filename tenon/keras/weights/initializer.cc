#include "tenon/keras/weights/initializer.h"

#include <cmath>
#include <numbers>

#include "tenon/keras/weights/named_object.h"
#include "tenon/kernels/philox.h"

namespace tenon::keras {

namespace {

enum class Family { kConstant, kUniform, kNormal, kTruncatedNormal, kVarianceScaling, kOrthogonal };

// One row an initializer. `config` in Keras' order; for kVarianceScaling the fixed members of the
// named variants (scale, mode, distribution) are no part of their config.
struct InitializerRow {
  std::string_view class_name;
  std::string_view alias;
  Family family;
  double scale = 1.0;          // kConstant: the value
  std::string_view mode = "";  // fan_in, fan_out, fan_avg
  std::string_view distribution = "";
};

constexpr InitializerRow kInitializers[] = {
    {"Zeros", "zeros", Family::kConstant, 0.0},
    {"Ones", "ones", Family::kConstant, 1.0},
    {"Constant", "constant", Family::kConstant, 0.0},
    {"RandomUniform", "random_uniform", Family::kUniform},
    {"RandomNormal", "random_normal", Family::kNormal},
    {"TruncatedNormal", "truncated_normal", Family::kTruncatedNormal},
    {"GlorotUniform", "glorot_uniform", Family::kVarianceScaling, 1.0, "fan_avg", "uniform"},
    {"GlorotNormal", "glorot_normal", Family::kVarianceScaling, 1.0, "fan_avg", "truncated_normal"},
    {"HeUniform", "he_uniform", Family::kVarianceScaling, 2.0, "fan_in", "uniform"},
    {"HeNormal", "he_normal", Family::kVarianceScaling, 2.0, "fan_in", "truncated_normal"},
    {"LecunUniform", "lecun_uniform", Family::kVarianceScaling, 1.0, "fan_in", "uniform"},
    {"LecunNormal", "lecun_normal", Family::kVarianceScaling, 1.0, "fan_in", "truncated_normal"},
    {"VarianceScaling", "variance_scaling", Family::kVarianceScaling, 1.0},
    {"Orthogonal", "orthogonal", Family::kOrthogonal},
};

const InitializerRow* find_initializer(std::string_view name) {
  for (const InitializerRow& row : kInitializers) {
    if (name == row.class_name || name == row.alias) return &row;
  }
  if (name == "uniform") return find_initializer("RandomUniform");
  if (name == "normal") return find_initializer("RandomNormal");
  return nullptr;
}

Json default_config(const InitializerRow& row) {
  Json config = Json::object();
  if (row.family == Family::kConstant) {
    if (row.class_name == "Constant") config.set("value", 0.0);
    return config;
  }
  config.set("seed", nullptr);
  switch (row.family) {
    case Family::kUniform:
      config.set("minval", -0.05);
      config.set("maxval", 0.05);
      break;
    case Family::kNormal:
    case Family::kTruncatedNormal:
      config.set("mean", 0.0);
      config.set("stddev", 0.05);
      break;
    case Family::kVarianceScaling:
      if (row.mode.empty()) {
        config.set("scale", 1.0);
        config.set("mode", "fan_in");
        config.set("distribution", "truncated_normal");
      }
      config.set("input_axes", nullptr);
      config.set("output_axes", nullptr);
      break;
    case Family::kOrthogonal:
      config.set("gain", 1.0);
      break;
    case Family::kConstant:
      break;
  }
  return config;
}

struct Fans {
  double in = 1, out = 1;
};

// keras/src/initializers/random_initializers.py, compute_fans.
Fans compute_fans(const Shape& shape) {
  if (shape.rank() == 0) return {1, 1};
  if (shape.rank() == 1) return {double(shape[0]), double(shape[0])};
  const auto receptive = static_cast<double>(shape.product(0, shape.rank() - 2));
  return {receptive * static_cast<double>(shape[shape.rank() - 2]),
          receptive * static_cast<double>(shape[shape.rank() - 1])};
}

// Q of the QR decomposition (Householder) of the rows x cols matrix `a`, rows >= cols, each column
// multiplied by the sign of R's diagonal.
std::vector<double> signed_q(std::vector<double> a, size_t rows, size_t cols) {
  std::vector<std::vector<double>> reflectors;
  std::vector<double> diagonal(cols);
  const auto reflect = [rows](const std::vector<double>& v, size_t first, double* m, size_t stride,
                              size_t columns) {
    for (size_t c = 0; c < columns; ++c) {
      double dot = 0;
      for (size_t r = first; r < rows; ++r) dot += v[r] * m[r * stride + c];
      for (size_t r = first; r < rows; ++r) m[r * stride + c] -= 2 * dot * v[r];
    }
  };
  for (size_t k = 0; k < cols; ++k) {
    double norm = 0;
    for (size_t r = k; r < rows; ++r) norm += a[r * cols + k] * a[r * cols + k];
    norm = std::sqrt(norm);
    std::vector<double> v(rows, 0.0);
    const double alpha = a[k * cols + k] > 0 ? -norm : norm;
    double length = 0;
    for (size_t r = k; r < rows; ++r) {
      v[r] = a[r * cols + k] - (r == k ? alpha : 0.0);
      length += v[r] * v[r];
    }
    if (length > 0) {
      for (double& x : v) x /= std::sqrt(length);
    }
    reflect(v, k, a.data(), cols, cols);
    diagonal[k] = alpha;
    reflectors.push_back(std::move(v));
  }
  std::vector<double> q(rows * cols, 0.0);
  for (size_t k = 0; k < cols; ++k) q[k * cols + k] = diagonal[k] < 0 ? -1.0 : 1.0;
  for (size_t k = cols; k-- > 0;) reflect(reflectors[k], k, q.data(), cols, cols);
  return q;
}

void fill_orthogonal(const kernels::Philox& generator, const Shape& shape, double gain,
                     float* out) {
  const auto rows = static_cast<size_t>(shape.product(0, shape.rank() - 1));
  const auto cols = static_cast<size_t>(shape[shape.rank() - 1]);
  const size_t tall = std::max(rows, cols), narrow = std::min(rows, cols);
  std::vector<float> normal(tall * narrow);
  kernels::fill_normal<float>(generator, static_cast<int64_t>(normal.size()), normal.data());
  const std::vector<double> q =
      signed_q(std::vector<double>(normal.begin(), normal.end()), tall, narrow);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) {
      const double value = rows >= cols ? q[r * narrow + c] : q[c * narrow + r];
      out[r * cols + c] = static_cast<float>(gain * value);
    }
  }
}

// No class of Keras', and never in a file.
constexpr std::string_view kForgetBias = "UnitForgetBias";

StatusOr<Tensor> make_forget_bias(const Json& bias, DType dtype, const Shape& shape,
                                  std::array<uint64_t, 2> seed) {
  TENON_ASSIGN_OR_RETURN(const Initializer others, Initializer::from_json(bias));
  const int64_t units = shape[0] / 4;
  TENON_ASSIGN_OR_RETURN(const Tensor whole, Tensor::allocate(dtype, shape));
  const std::pair<Initializer, int64_t> parts[] = {
      {others, units}, {Initializer("ones"), units}, {others, 2 * units}};
  int64_t at = 0;
  for (const auto& [initializer, count] : parts) {
    TENON_ASSIGN_OR_RETURN(const Tensor part, initializer.make(dtype, Shape{count}, seed));
    Tensor into = whole.slice(at, count);
    std::memcpy(into.mutable_raw(), part.raw(), part.num_bytes());
    at += count;
  }
  return whole;
}

// Not read from files either: it is STFTSpectrogram's own.
constexpr std::string_view kWaves = "STFT";

// Sums of cosines (scipy.signal.get_window).
struct CosineWindow {
  std::string_view name;
  double mean, first, second;
};
constexpr CosineWindow kWindows[] = {{"hann", 0.5, 0.5, 0},
                                     {"hamming", 0.54, 0.46, 0},
                                     {"blackman", 0.42, 0.5, 0.08},
                                     {"boxcar", 1, 0, 0}};

const CosineWindow* find_window(const Json& name) {
  const auto it = std::find_if(std::begin(kWindows), std::end(kWindows),
                               [&](const auto& window) { return name == Json(window.name); });
  return it == std::end(kWindows) ? nullptr : it;
}

Status check_waves(const Json& config) {
  if (!config["window"].is_null() && !find_window(config["window"])) {
    return unimplemented("window ", config["window"].dump(),
                         " is not implemented; there are hann, ", "hamming, blackman and boxcar");
  }
  const Json& scaling = config["scaling"];
  if (scaling.is_null() || scaling == Json("density") || scaling == Json("spectrum")) {
    return absl::OkStatus();
  }
  return invalid_argument("scaling is ", scaling.dump(), ", expected null, density or spectrum");
}

std::vector<double> window_values(const Json& config, int64_t length) {
  std::vector<double> values(static_cast<size_t>(length), 1.0);
  const CosineWindow* window = find_window(config["window"]);
  const int64_t period = config["periodic"] == Json(true) ? length : length - 1;
  for (int64_t i = 0; window && period > 0 && i < length; ++i) {
    const double turn = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(period);
    values[static_cast<size_t>(i)] =
        window->mean - window->first * std::cos(turn) + window->second * std::cos(2 * turn);
  }
  return values;
}

StatusOr<Tensor> make_waves(const Json& config, DType dtype, const Shape& shape) {
  TENON_ASSIGN_OR_RETURN(Tensor waves, Tensor::allocate(dtype, shape));
  const int64_t times = shape[0], frequencies = shape[2];
  const std::vector<double> window = window_values(config, times);
  double scale = 0;
  const bool density = config["scaling"] == Json("density");
  for (const double value : window) scale += density ? value * value : std::abs(value);
  if (density) scale = std::sqrt(scale);
  if (config["scaling"].is_null() || config["window"].is_null()) scale = 1;
  const bool real = config["side"] == Json("real");
  visit<TypeList<float, double>>(dtype, [&]<class T>() {
    for (int64_t t = 0; t < times; ++t) {
      for (int64_t k = 0; k < frequencies; ++k) {
        // Whole turns are left out: frequency k makes k turns in 2 (frequencies - 1) steps.
        const int64_t turn = std::max<int64_t>(1, 2 * (frequencies - 1));
        const double angle =
            -2 * std::numbers::pi * static_cast<double>(t * k % turn) / static_cast<double>(turn);
        waves.mutable_data<T>()[t * frequencies + k] = static_cast<T>(
            (real ? std::cos(angle) : std::sin(angle)) * window[static_cast<size_t>(t)] / scale);
      }
    }
  });
  return waves;
}

}  // namespace

Initializer::Initializer(std::string_view name) : class_name_(name) {
  if (const InitializerRow* row = find_initializer(name)) {
    class_name_ = row->class_name;
    config_ = default_config(*row);
  }
}

Initializer& Initializer::with(std::string_view parameter, Json value) {
  config_.set(parameter, std::move(value));
  return *this;
}

Status Initializer::check() const {
  const InitializerRow* row = find_initializer(class_name_);
  if (!row) {
    std::vector<std::string_view> names;
    for (const InitializerRow& known : kInitializers) names.push_back(known.class_name);
    return unimplemented("initializer '", class_name_, "' is not known; there are ",
                         join(names, ", "));
  }
  const Json defaults = default_config(*row);
  for (const auto& [name, value] : *config_.members()) {
    if (!defaults.find(name)) {
      return invalid_argument("initializer ", class_name_, " has no parameter '", name, "'");
    }
    if (name.ends_with("_axes") && !value.is_null()) {
      return unimplemented("initializer ", class_name_, ": '", name, "' is not supported");
    }
  }
  return absl::OkStatus();
}

StatusOr<Initializer> Initializer::from_json(const Json& json) {
  return named_object_from_json<Initializer>(ObjectKind::kInitializer, json);
}

Json Initializer::to_json() const {
  return named_object_to_json("initializers", class_name_, config_);
}

Initializer Initializer::forget_bias(const Initializer& bias) {
  Initializer both(kForgetBias);
  both.config_ = Json::object({{"bias", bias.to_json()}});
  return both;
}

StatusOr<Initializer> Initializer::waves(std::string_view side, const Json& window,
                                         const Json& scaling, bool periodic) {
  Initializer waves(kWaves);
  waves.config_ = Json::object(
      {{"side", side}, {"window", window}, {"scaling", scaling}, {"periodic", periodic}});
  TENON_RETURN_IF_ERROR(check_waves(waves.config_));
  return waves;
}

StatusOr<Tensor> Initializer::make(DType dtype, const Shape& shape,
                                   std::array<uint64_t, 2> seed) const {
  if (class_name_ == kWaves) return make_waves(config_, dtype, shape);
  if (class_name_ == kForgetBias) return make_forget_bias(config_["bias"], dtype, shape, seed);
  TENON_RETURN_IF_ERROR(check());
  const InitializerRow& row = *find_initializer(class_name_);
  // A model's file may ask for any size.
  TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), size_of(dtype)).status());
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  if (row.family == Family::kConstant) {
    const double value = config_["value"].number().value_or(row.scale);
    const bool known = visit<TypeList<float, double, int32_t, int64_t>>(dtype, [&]<class T>() {
      std::fill_n(tensor.mutable_data<T>(), tensor.num_elements(), static_cast<T>(value));
    });
    if (known) return tensor;
  }
  if (dtype != DType::kFloat) {
    return unimplemented("initializer ", class_name_, " makes no ", dtype, " weights");
  }
  const std::span<float> out(tensor.mutable_data<float>(),
                             static_cast<size_t>(tensor.num_elements()));
  if (const int64_t* own = config_["seed"].integer()) seed = {static_cast<uint64_t>(*own), 0};
  const auto generator = kernels::Philox::from_stateless_seed(seed[0], seed[1]);
  const auto number = [this](std::string_view name, double fallback) {
    return config_[name].number().value_or(fallback);
  };
  const auto uniform = [&](double low, double high) {
    kernels::fill_uniform<float>(generator, tensor.num_elements(), out.data());
    const auto first = static_cast<float>(low), range = static_cast<float>(high) - first;
    for (float& x : out) x = x * range + first;
  };
  const auto normal = [&](bool truncated, double mean, double deviation) {
    (truncated ? kernels::fill_truncated_normal<float>
               : kernels::fill_normal<float>)(generator, tensor.num_elements(), out.data());
    for (float& x : out) x = x * static_cast<float>(deviation) + static_cast<float>(mean);
  };
  switch (row.family) {
    case Family::kConstant:
      break;
    case Family::kUniform:
      uniform(number("minval", -0.05), number("maxval", 0.05));
      break;
    case Family::kNormal:
    case Family::kTruncatedNormal:
      normal(row.family == Family::kTruncatedNormal, number("mean", 0), number("stddev", 0.05));
      break;
    case Family::kVarianceScaling: {
      const Fans fans = compute_fans(shape);
      const std::string mode = config_.text("mode", row.mode);
      const double fan = mode == "fan_in"    ? fans.in
                         : mode == "fan_out" ? fans.out
                                             : (fans.in + fans.out) / 2;
      const double scale = number("scale", row.scale) / std::max(1.0, fan);
      const std::string distribution = config_.text("distribution", row.distribution);
      // 0.8796...: the deviation of a standard normal cut at two deviations.
      if (distribution == "uniform") {
        uniform(-std::sqrt(3 * scale), std::sqrt(3 * scale));
      } else if (distribution == "untruncated_normal") {
        normal(false, 0, std::sqrt(scale));
      } else {
        normal(true, 0, std::sqrt(scale) / 0.87962566103423978);
      }
      break;
    }
    case Family::kOrthogonal:
      if (shape.rank() < 2) {
        return invalid_argument("initializer Orthogonal needs at least two dimensions, not ",
                                shape);
      }
      fill_orthogonal(generator, shape, number("gain", 1.0), out.data());
      break;
  }
  return tensor;
}

}  // namespace tenon::keras
