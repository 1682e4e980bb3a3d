// Changes a SavedModel where it means something: attributes, shapes, constants, names of nodes and
// functions. Random bytes rarely stay a message; every fourth change is one of those all the same.

#include <google/protobuf/message.h>

#include <random>

#include "tensorflow/core/protobuf/saved_model.pb.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Random = std::minstd_rand;

size_t below(Random& random, size_t count) { return random() % count; }

// A field of some message that is set.
struct Place {
  Message* message;
  const FieldDescriptor* field;
};

void collect(Message& message, std::vector<Place>& places, int depth = 0) {
  if (depth > 20) return;
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    places.push_back({&message, field});
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      collect(*reflection.MutableMessage(&message, field), places, depth + 1);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      collect(*reflection.MutableRepeatedMessage(&message, field, i), places, depth + 1);
    }
  }
}

int64_t integer(Random& random, int64_t old) {
  static constexpr int64_t kHostile[] = {
      0, 1, -1, 2, 3, 127, 1 << 20, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, int64_t{1} << 40};
  switch (below(random, 3)) {
    case 0:
      return old + 1;
    case 1:
      return static_cast<int64_t>(static_cast<uint64_t>(old) - 1);
    default:
      return kHostile[below(random, std::size(kHostile))];
  }
}

// Another string of the model: a node, a function, an op, a key.
std::string text(Random& random, const std::vector<Place>& places, const std::string& old) {
  for (int tries = 0; tries < 20; ++tries) {
    const Place& place = places[below(random, places.size())];
    if (place.field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) continue;
    const Reflection& reflection = *place.message->GetReflection();
    if (!place.field->is_repeated()) return reflection.GetString(*place.message, place.field);
    const int size = reflection.FieldSize(*place.message, place.field);
    return reflection.GetRepeatedString(*place.message, place.field,
                                        static_cast<int>(below(random, static_cast<size_t>(size))));
  }
  std::string changed = old;
  changed.resize(old.size() + 8);
  changed.resize(
      LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(changed.data()), old.size(), changed.size()));
  return changed;
}

void change_single(const Place& place, Random& random, const std::vector<Place>& places) {
  Message* const message = place.message;
  const FieldDescriptor* const field = place.field;
  const Reflection& reflection = *message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(
          message, field,
          static_cast<int32_t>(integer(random, reflection.GetInt32(*message, field))));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(message, field,
                                 integer(random, reflection.GetInt64(*message, field)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(message, field, !reflection.GetBool(*message, field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(message, field, static_cast<float>(integer(random, 0)));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(message, field, static_cast<int>(below(random, 24)));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(message, field,
                                  text(random, places, reflection.GetString(*message, field)));
    default:
      return reflection.ClearField(message, field);
  }
}

void change_repeated(const Place& place, Random& random, const std::vector<Place>& places) {
  Message* const message = place.message;
  const FieldDescriptor* const field = place.field;
  const Reflection& reflection = *message->GetReflection();
  const int size = reflection.FieldSize(*message, field);
  const int at = static_cast<int>(below(random, static_cast<size_t>(size)));
  switch (below(random, 4)) {
    case 0:
      return reflection.RemoveLast(message, field);
    case 1:
      return reflection.SwapElements(message, field, at, size - 1);
    case 2:
      // Once more, under the same name.
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
        Message* const added = reflection.AddMessage(message, field);
        added->CopyFrom(reflection.GetRepeatedMessage(*message, field, at));
        return;
      }
      break;
    default:
      break;
  }
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    const int64_t old = reflection.GetRepeatedInt64(*message, field, at);
    reflection.SetRepeatedInt64(message, field, at, integer(random, old));
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
    const int32_t old = reflection.GetRepeatedInt32(*message, field, at);
    reflection.SetRepeatedInt32(message, field, at, static_cast<int32_t>(integer(random, old)));
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    reflection.SetRepeatedString(
        message, field, at,
        text(random, places, reflection.GetRepeatedString(*message, field, at)));
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  Random random(seed);
  tensorflow::SavedModel model;
  if (below(random, 4) == 0 || !model.ParseFromArray(data, static_cast<int>(size))) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  for (size_t changes = 1 + below(random, 3); changes > 0; --changes) {
    std::vector<Place> places;
    collect(model, places);
    if (places.empty()) break;
    const Place& place = places[below(random, places.size())];
    if (place.field->is_repeated()) {
      change_repeated(place, random, places);
    } else {
      change_single(place, random, places);
    }
  }
  const std::string bytes = model.SerializePartialAsString();
  if (bytes.empty() || bytes.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
