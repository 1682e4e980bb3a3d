#include "tenon/ops/random/random_stream.h"

#include "tenon/base/fnv1a.h"
#include "tenon/core/interfaces.h"

namespace tenon {
namespace {

// Nodes without seeds must not draw the same numbers. Never 0.
uint64_t hash_of_name(std::string_view name) { return fnv1a(name) | 1; }

}  // namespace

StatusOr<Ref<RandomStream>> stream_of(Prepare& p) {
  const auto seed = static_cast<uint64_t>(p.attr<int64_t>("seed"));
  const auto seed2 = static_cast<uint64_t>(p.attr<int64_t>("seed2"));
  const auto make = [&]() -> StatusOr<Ref<Object>> {
    return Ref<Object>(make_ref<RandomStream>(seed, seed2, hash_of_name(p.node_name())));
  };
  TENON_ASSIGN_OR_RETURN(
      const Ref<Object> object,
      p.streams()->find_or_create("_random", cat(p.node_name(), ":", seed, ":", seed2), make));
  auto* stream = object_cast<RandomStream>(object.get());
  if (!stream) return internal("the random stream of ", p.node_name(), " is something else");
  return Ref<RandomStream>(stream);
}

}  // namespace tenon
