// Tensors that nobody sends in good faith, for fuzz targets that run what they have loaded.
#pragma once

#include <limits>
#include <optional>

#include "tenon/core/tensor.h"

namespace tenon {

// Decides shapes and values from a seed; equal seeds give equal tensors.
class MadeUpInputs {
 public:
  explicit MadeUpInputs(uint64_t seed) : state_(seed) {}

  // Of `dtype`, with small sizes where `shape` says nothing. Nullopt for dtypes that cannot be fed
  // and for shapes of more than kMostElements elements.
  std::optional<Tensor> tensor(DType dtype, const PartialShape& shape) {
    std::vector<int64_t> dims;
    if (shape.has_rank()) {
      dims.assign(shape.dims().begin(), shape.dims().end());
    } else {
      dims.assign(below(4), -1);
    }
    uint64_t elements = 1;
    for (int64_t& dim : dims) {
      if (dim < 0) dim = kSizes[below(std::size(kSizes))];
      if (dim > kMostElements) return std::nullopt;
      elements *= static_cast<uint64_t>(dim);
      if (elements > kMostElements) return std::nullopt;
    }
    if (dims.size() > kMaxRank) return std::nullopt;
    return filled(dtype, Shape(dims));
  }

 private:
  static constexpr int64_t kMostElements = 1 << 14;
  static constexpr int64_t kSizes[] = {0, 1, 1, 2, 2, 3, 5};

  std::optional<Tensor> filled(DType dtype, const Shape& shape) {
    if (dtype == DType::kString) {
      static const std::string kTexts[] = {"",          "a",    "-1", std::string(300, 'x'),
                                           "\xff\x00(", "1e999"};
      std::vector<std::string> texts;
      for (int64_t i = shape.num_elements(); i > 0; --i) {
        texts.push_back(kTexts[below(std::size(kTexts))]);
      }
      return Tensor::strings(shape, texts);
    }
    Tensor tensor(DType::kInvalid, Shape());
    if (dtype == DType::kBool) {
      tensor = Tensor(dtype, shape);
      for (int64_t i = 0; i < shape.num_elements(); ++i) {
        tensor.mutable_data<bool>()[i] = below(2) == 1;
      }
      return tensor;
    }
    const bool known = visit<NumericTypes>(dtype, [&]<class T>() {
      tensor = Tensor(dtype, shape);
      for (int64_t i = 0; i < shape.num_elements(); ++i) {
        tensor.mutable_data<T>()[i] = value<T>();
      }
    });
    return known ? std::optional(tensor) : std::nullopt;
  }

  template <class T>
  T value() {
    const int small = static_cast<int>(below(9)) - 4;
    if constexpr (std::is_integral_v<T>) {
      switch (below(8)) {
        case 0:
          return std::numeric_limits<T>::min();
        case 1:
          return std::numeric_limits<T>::max();
        default:
          return static_cast<T>(small);
      }
    } else {
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      constexpr float kHostile[] = {kInfinity, -kInfinity, 1e30f,
                                    1e-40f,    -0.0f,      std::numeric_limits<float>::quiet_NaN()};
      const float number =
          below(4) == 0 ? kHostile[below(std::size(kHostile))] : static_cast<float>(small) / 2;
      return static_cast<T>(number);
    }
  }

  size_t below(size_t count) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state_ >> 33) % count;
  }

  uint64_t state_;
};

// Of the bytes that a target is given (FNV-1a).
inline uint64_t seed_of(const uint8_t* data, size_t size) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ data[i]) * 1099511628211u;
  return hash;
}

}  // namespace tenon
