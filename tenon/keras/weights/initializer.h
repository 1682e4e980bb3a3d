// Initializer: how a weight gets its first value. Keras' names, defaults and formulas
// (keras/src/initializers; formats.md 11.3).
#pragma once

#include "tenon/core/tensor.h"
#include "tenon/keras/json.h"

namespace tenon::keras {

// A value type: "glorot_uniform", or one with parameters of its own:
//   Initializer kernel = "he_normal";
//   Initializer bias = Initializer("Constant").with("value", 0.1);
class Initializer {
 public:
  // A name that is not known shows when the value is asked for (make(), check()).
  Initializer(const char* name) : Initializer(std::string_view(name)) {}  // NOLINT: implicit
  explicit Initializer(std::string_view name);
  Initializer& with(std::string_view parameter, Json value);

  // Keras' unit_forget_bias of an LSTM: ones in the second of four blocks, `bias` in the others.
  static Initializer forget_bias(const Initializer& bias);

  // Keras' STFT: cosines ("real") or negative sines ("imag") of [time, 1, frequency] under a
  // window, null or the name of one; UNIMPLEMENTED names those that there are. For weights of
  // rank 3.
  static StatusOr<Initializer> waves(std::string_view side, const Json& window, const Json& scaling,
                                     bool periodic);

  // From Keras' JSON: a name, or {"class_name": ..., "config": {...}}.
  static StatusOr<Initializer> from_json(const Json& json);
  Json to_json() const;
  Status check() const;

  // The first value of a weight. `seed` is what the random ones draw from unless they carry a seed
  // of their own; an initializer with seed s gives the bits that Keras gives for it.
  StatusOr<Tensor> make(DType dtype, const Shape& shape, std::array<uint64_t, 2> seed) const;

 private:
  std::string class_name_;  // "GlorotUniform"
  Json config_ = Json::object();
};

}  // namespace tenon::keras
