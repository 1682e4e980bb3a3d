// tf.Example and tf.SequenceExample decoded from their bytes, without protobuf and without copies.
//
// Everything here views into the bytes that were decoded. Keys that come twice: the last one
// counts, as in protobuf's maps. Malformed bytes are INVALID_ARGUMENT.
#pragma once

#include "tenon/base/status.h"

namespace tenon {

enum class FeatureKind : uint8_t { kNone, kBytes, kFloat, kInt64 };

std::string_view to_string(FeatureKind kind);  // "bytes_list", ...

// One feature: a list of values of one kind, packed or not.
class FeatureView {
 public:
  FeatureView() = default;
  FeatureView(FeatureKind kind, std::string_view list) : kind_(kind), list_(list) {}

  FeatureKind kind() const { return kind_; }

  // Append the values to `out`; the one that fits kind() is to be called.
  Status append_bytes(std::vector<std::string_view>& out) const;
  Status append_floats(std::vector<float>& out) const;
  Status append_int64s(std::vector<int64_t>& out) const;

 private:
  FeatureKind kind_ = FeatureKind::kNone;
  std::string_view list_;  // the BytesList, FloatList or Int64List message
};

StatusOr<FeatureView> decode_feature(std::string_view bytes);

// The named features of an Example. Reusing one object for many examples reuses its memory.
class ExampleView {
 public:
  struct Entry {
    std::string_view name;
    FeatureView feature;
  };

  // From an Example message.
  Status decode(std::string_view example);
  // From a Features message: an Example's, or a SequenceExample's context.
  Status decode_features(std::string_view features);

  const std::vector<Entry>& entries() const { return entries_; }
  const FeatureView* find(std::string_view name) const;  // null when there is none

 private:
  Status add(std::string_view entry);
  std::vector<Entry> entries_;
};

class SequenceExampleView {
 public:
  struct Entry {
    std::string_view name;
    std::vector<FeatureView> steps;
  };

  Status decode(std::string_view sequence_example);

  const ExampleView& context() const { return context_; }
  const std::vector<Entry>& lists() const { return lists_; }
  const std::vector<FeatureView>* find(std::string_view name) const;

 private:
  Status add_list(std::string_view entry);
  ExampleView context_;
  std::vector<Entry> lists_;
};

}  // namespace tenon
