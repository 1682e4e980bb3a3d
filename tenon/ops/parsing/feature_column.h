// The values of one feature of serialized examples on their way into a tensor.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/io/example.h"

namespace tenon {

inline constexpr std::pair<DType, FeatureKind> kFeatureKinds[] = {
    {DType::kFloat, FeatureKind::kFloat},
    {DType::kInt64, FeatureKind::kInt64},
    {DType::kString, FeatureKind::kBytes},
};

inline FeatureKind kind_of_feature(DType dtype) {
  return std::find_if(std::begin(kFeatureKinds), std::end(kFeatureKinds),
                      [&](const auto& row) { return row.first == dtype; })
      ->second;
}

// The values of one feature over all examples, one of the vectors being used.
class FeatureColumn {
 public:
  explicit FeatureColumn(DType dtype) : dtype_(dtype) {}

  int64_t size() const {
    return static_cast<int64_t>(floats_.size() + integers_.size() + texts_.size());
  }

  Status append(const FeatureView& feature) {
    if (feature.kind() != kind_of_feature(dtype_)) {
      return invalid_argument("Data types don't match. Expected type: ", dtype_, ", found a ",
                              to_string(feature.kind()));
    }
    if (dtype_ == DType::kFloat) return feature.append_floats(floats_);
    if (dtype_ == DType::kInt64) return feature.append_int64s(integers_);
    return feature.append_bytes(texts_);
  }

  // `count` values of `tensor`, from the first on.
  void append(const Tensor& tensor, int64_t count) {
    if (dtype_ == DType::kFloat) append_from(tensor, count, floats_);
    if (dtype_ == DType::kInt64) append_from(tensor, count, integers_);
    if (dtype_ == DType::kString) append_from(tensor, count, texts_);
  }

  void append(const FeatureColumn& other) {
    floats_.insert(floats_.end(), other.floats_.begin(), other.floats_.end());
    integers_.insert(integers_.end(), other.integers_.begin(), other.integers_.end());
    texts_.insert(texts_.end(), other.texts_.begin(), other.texts_.end());
  }

  // `count` values of `other`, from `begin` on.
  void append(const FeatureColumn& other, int64_t begin, int64_t count) {
    append_part(other.floats_, begin, count, floats_);
    append_part(other.integers_, begin, count, integers_);
    append_part(other.texts_, begin, count, texts_);
  }

  // Zeros, or empty strings.
  void append_zeros(int64_t count) {
    const auto more = static_cast<size_t>(count);
    if (dtype_ == DType::kFloat) floats_.resize(floats_.size() + more);
    if (dtype_ == DType::kInt64) integers_.resize(integers_.size() + more);
    if (dtype_ == DType::kString) texts_.resize(texts_.size() + more);
  }

  // Strings view into `sources`, which the tensor keeps.
  StatusOr<Tensor> to_tensor(KernelRun& r, const Shape& shape,
                             std::span<const Tensor> sources) const {
    if (dtype_ == DType::kString) {
      StringTensorBuilder builder(shape);
      for (const Tensor& source : sources) builder.share(source);
      for (size_t i = 0; i < texts_.size(); ++i) {
        builder.set_view(static_cast<int64_t>(i), texts_[i]);
      }
      return std::move(builder).build();
    }
    TENON_ASSIGN_OR_RETURN(Tensor tensor, r.allocate(dtype_, shape));
    if (dtype_ == DType::kFloat)
      std::copy(floats_.begin(), floats_.end(), tensor.mutable_data<float>());
    if (dtype_ == DType::kInt64) {
      std::copy(integers_.begin(), integers_.end(), tensor.mutable_data<int64_t>());
    }
    return tensor;
  }

 private:
  template <class T>
  static void append_from(const Tensor& tensor, int64_t count, std::vector<T>& values) {
    values.insert(values.end(), tensor.data<T>(), tensor.data<T>() + count);
  }

  template <class T>
  static void append_part(const std::vector<T>& from, int64_t begin, int64_t count,
                          std::vector<T>& to) {
    if (from.empty()) return;
    to.insert(to.end(), from.begin() + begin, from.begin() + begin + count);
  }

  DType dtype_;
  std::vector<float> floats_;
  std::vector<int64_t> integers_;
  std::vector<std::string_view> texts_;
};

}  // namespace tenon
