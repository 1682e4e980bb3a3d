#include "tenon/io/example.h"

#include <bit>

#include "tenon/base/wire.h"
#include "tenon/io/bytes.h"

namespace tenon {
namespace {

Status malformed_example(std::string_view message) {
  return invalid_argument("malformed ", message, " message in serialized example");
}

// The fields with number 1 of a list, which hold its values.
template <class Take>
Status for_each_value(std::string_view list, std::string_view message, Take take) {
  WireReader reader(list);
  WireField field;
  while (reader.next(field)) {
    if (field.number == 1 && !take(field)) return malformed_example(message);
  }
  return reader.malformed() ? malformed_example(message) : absl::OkStatus();
}

}  // namespace

std::string_view to_string(FeatureKind kind) {
  constexpr std::string_view kNames[] = {"no list", "bytes_list", "float_list", "int64_list"};
  return kNames[static_cast<size_t>(kind)];
}

Status FeatureView::append_bytes(std::vector<std::string_view>& out) const {
  return for_each_value(list_, "BytesList", [&](const WireField& field) {
    if (field.type != WireType::kBytes) return false;
    out.push_back(field.bytes);
    return true;
  });
}

Status FeatureView::append_floats(std::vector<float>& out) const {
  return for_each_value(list_, "FloatList", [&](const WireField& field) {
    if (field.type == WireType::kFixed32) {
      out.push_back(std::bit_cast<float>(static_cast<uint32_t>(field.value)));
      return true;
    }
    if (field.type != WireType::kBytes || field.bytes.size() % 4 != 0) return false;
    const size_t before = out.size();
    out.resize(before + field.bytes.size() / 4);
    if (!field.bytes.empty()) {
      std::memcpy(out.data() + before, field.bytes.data(), field.bytes.size());
    }
    return true;
  });
}

Status FeatureView::append_int64s(std::vector<int64_t>& out) const {
  return for_each_value(list_, "Int64List", [&](const WireField& field) {
    if (field.type == WireType::kVarint) {
      out.push_back(static_cast<int64_t>(field.value));
      return true;
    }
    if (field.type != WireType::kBytes) return false;
    std::string_view packed = field.bytes;
    while (!packed.empty()) {
      uint64_t value = 0;
      if (!read_varint(packed, value)) return false;
      out.push_back(static_cast<int64_t>(value));
    }
    return true;
  });
}

StatusOr<FeatureView> decode_feature(std::string_view bytes) {
  WireReader reader(bytes);
  WireField field;
  FeatureView feature;
  while (reader.next(field)) {
    if (field.type == WireType::kBytes && field.number >= 1 && field.number <= 3) {
      feature = FeatureView(static_cast<FeatureKind>(field.number), field.bytes);
    }
  }
  if (reader.malformed()) return malformed_example("Feature");
  return feature;
}

Status ExampleView::add(std::string_view bytes) {
  MapEntry entry;
  if (!parse_map_entry(bytes, entry)) return malformed_example("Features.FeatureEntry");
  TENON_ASSIGN_OR_RETURN(const FeatureView feature, decode_feature(entry.text));
  entries_.push_back({entry.key, feature});
  return absl::OkStatus();
}

Status ExampleView::decode_features(std::string_view features) {
  entries_.clear();
  WireReader reader(features);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) TENON_RETURN_IF_ERROR(add(field.bytes));
  }
  return reader.malformed() ? malformed_example("Features") : absl::OkStatus();
}

// A message field that comes twice is merged by protobuf: here its map entries add up.
Status ExampleView::decode(std::string_view example) {
  entries_.clear();
  WireReader reader(example);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    WireReader features(field.bytes);
    WireField entry;
    while (features.next(entry)) {
      if (entry.is_bytes(1)) TENON_RETURN_IF_ERROR(add(entry.bytes));
    }
    if (features.malformed()) return malformed_example("Features");
  }
  return reader.malformed() ? malformed_example("Example") : absl::OkStatus();
}

const FeatureView* ExampleView::find(std::string_view name) const {
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->name == name) return &entry->feature;
  }
  return nullptr;
}

Status SequenceExampleView::add_list(std::string_view bytes) {
  MapEntry entry;
  if (!parse_map_entry(bytes, entry)) return malformed_example("FeatureLists.FeatureListEntry");
  Entry list{entry.key, {}};
  WireReader reader(entry.text);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    TENON_ASSIGN_OR_RETURN(const FeatureView feature, decode_feature(field.bytes));
    list.steps.push_back(feature);
  }
  if (reader.malformed()) return malformed_example("FeatureList");
  lists_.push_back(std::move(list));
  return absl::OkStatus();
}

Status SequenceExampleView::decode(std::string_view sequence_example) {
  lists_.clear();
  TENON_RETURN_IF_ERROR(context_.decode(sequence_example));  // its context is field 1 as well
  WireReader reader(sequence_example);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(2)) continue;
    WireReader lists(field.bytes);
    WireField entry;
    while (lists.next(entry)) {
      if (entry.is_bytes(1)) TENON_RETURN_IF_ERROR(add_list(entry.bytes));
    }
    if (lists.malformed()) return malformed_example("FeatureLists");
  }
  return reader.malformed() ? malformed_example("SequenceExample") : absl::OkStatus();
}

const std::vector<FeatureView>* SequenceExampleView::find(std::string_view name) const {
  for (auto entry = lists_.rbegin(); entry != lists_.rend(); ++entry) {
    if (entry->name == name) return &entry->steps;
  }
  return nullptr;
}

}  // namespace tenon
