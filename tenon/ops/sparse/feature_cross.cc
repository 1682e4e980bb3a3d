#include "tenon/ops/sparse/feature_cross.h"

#include "tenon/ops/string/fingerprint.h"

namespace tenon {
namespace {

uint64_t feature_fingerprint(const Tensor& values, int64_t index) {
  return values.dtype() == DType::kString ? farm_fingerprint(values.data<std::string_view>()[index])
                                          : static_cast<uint64_t>(integer_at(values, index));
}
// Of an integer TensorFlow takes the four low bytes.
uint64_t byte_fingerprint(const Tensor& values, int64_t index, const CrossSpec& spec) {
  const auto number =
      values.dtype() == DType::kString ? 0 : static_cast<int32_t>(integer_at(values, index));
  const std::string_view bytes =
      values.dtype() == DType::kString
          ? values.data<std::string_view>()[index]
          : std::string_view(reinterpret_cast<const char*>(&number), sizeof(number));
  return spec.strong ? sip_hash(spec.salt[0], spec.salt[1], bytes) : farm_fingerprint(bytes);
}
void append_feature(const Tensor& values, int64_t index, std::string& text) {
  if (values.dtype() == DType::kString) {
    text += values.data<std::string_view>()[index];
  } else {
    text += cat(integer_at(values, index));
  }
}

// Calls `cross(row, features)` for each combination, the last column fastest; `features` has the
// element of each column.
template <class Cross>
void for_each_cross(std::span<const CrossColumn> columns, int64_t rows, const Cross& cross) {
  std::vector<int64_t> features(columns.size());
  for (int64_t row = 0; row < rows; ++row) {
    const auto at = static_cast<size_t>(row);
    bool none = columns.empty();
    for (size_t i = 0; i < columns.size(); ++i) {
      features[i] = columns[i].begins[at];
      none |= columns[i].begins[at] == columns[i].begins[at + 1];
    }
    while (!none) {
      cross(row, features);
      size_t i = columns.size();
      while (i > 0 && ++features[i - 1] == columns[i - 1].begins[at + 1]) {
        features[i - 1] = columns[i - 1].begins[at];
        --i;
      }
      none = i == 0;
    }
  }
}

uint64_t cross_hash(std::span<const CrossColumn> columns, const CrossSpec& spec,
                    const std::vector<int64_t>& features) {
  uint64_t hash = spec.key;
  for (size_t i = 0; i < features.size(); ++i) {
    const Tensor& values = *columns[i].values;
    if (!spec.by_bytes) {
      hash = combine_fingerprints(hash, feature_fingerprint(values, features[i]));
      continue;
    }
    const uint64_t next = byte_fingerprint(values, features[i], spec);
    hash = i == 0 ? next : combine_fingerprints(hash, next);
  }
  return hash % static_cast<uint64_t>(spec.buckets > 0 ? spec.buckets
                                                       : std::numeric_limits<int64_t>::max());
}

std::string cross_text(std::span<const CrossColumn> columns, const CrossSpec& spec,
                       const std::vector<int64_t>& features) {
  std::string text;
  for (size_t i = 0; i < features.size(); ++i) {
    if (i > 0) text += spec.separator;
    append_feature(*columns[i].values, features[i], text);
  }
  return text;
}

// A few features a column make very many combinations, so they are counted first.
StatusOr<std::vector<int64_t>> cross_counts(std::span<const CrossColumn> columns, int64_t rows) {
  std::vector<int64_t> counts;
  int64_t total = 0;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    int64_t count = 1;
    for (const CrossColumn& column : columns) {
      if (__builtin_mul_overflow(count, column.begins[row + 1] - column.begins[row], &count)) {
        return invalid_argument("a row has too many crosses");
      }
    }
    if (__builtin_add_overflow(total, count, &total)) {
      return invalid_argument("there are too many crosses");
    }
    counts.push_back(count);
  }
  TENON_RETURN_IF_ERROR(Shape::make({{total, 2}}, sizeof(int64_t)).status());
  return counts;
}

}  // namespace

StatusOr<Crosses> cross_features(std::span<const CrossColumn> columns, const CrossSpec& spec) {
  const int64_t rows = columns.empty() ? 0 : static_cast<int64_t>(columns[0].begins.size()) - 1;
  Crosses crosses;
  TENON_ASSIGN_OR_RETURN(crosses.counts, cross_counts(columns, rows));
  std::vector<int64_t> hashes;
  std::vector<std::string> texts;
  for_each_cross(columns, rows, [&](int64_t, const std::vector<int64_t>& features) {
    if (spec.hashed) {
      hashes.push_back(static_cast<int64_t>(cross_hash(columns, spec, features)));
    } else {
      texts.push_back(cross_text(columns, spec, features));
    }
  });
  crosses.values = spec.hashed ? Tensor::vector<int64_t>(hashes)
                               : Tensor::strings(Shape{static_cast<int64_t>(texts.size())}, texts);
  return crosses;
}

}  // namespace tenon
