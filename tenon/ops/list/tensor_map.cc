// EmptyTensorMap, TensorMapInsert, TensorMapLookup, TensorMapErase, TensorMapHasKey, TensorMapSize
// and TensorMapStackKeys. tensorflow/core/kernels/map_kernels.h.
#include <cstring>

#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/list/list_access.h"

namespace tenon {
namespace {

// Bounds what a loop can pile up.
constexpr size_t kMostMapped = size_t{1} << 20;

// Tensors by tensors. Immutable: an op that changes a map makes another, which shares the tensors.
class TensorMap final : public Object {
 public:
  static constexpr std::string_view kTypeName = "TensorMap";
  std::string_view type_name() const override { return kTypeName; }
  std::map<std::string, std::pair<Tensor, Tensor>> entries;  // key_text(key) -> key, value
};

// Equal for keys of one dtype, shape and content, and for those alone.
std::string key_text(const Tensor& key) {
  std::string text = cat(key.dtype(), key.shape(), ":");
  if (key.dtype() == DType::kString) {
    for (std::string_view s : key.span<std::string_view>()) text += cat(s.size(), ":", s);
    return text;
  }
  return text.append(static_cast<const char*>(key.raw()), key.num_bytes());
}

StatusOr<const TensorMap*> map_of(const KernelRun& r) {
  const auto* map = r.input(0).object_as<TensorMap>();
  if (!map) return invalid_argument("Input handle is not a map.");
  return map;
}

StatusOr<std::map<std::string, std::pair<Tensor, Tensor>>::const_iterator> entry_of(
    const TensorMap& map, const Tensor& key, std::string_view purpose) {
  const auto it = map.entries.find(key_text(key));
  if (it == map.entries.end()) {
    return invalid_argument("Trying to ", purpose, " non-existent key ", to_string(key), ".");
  }
  return it;
}

void set_map(KernelRun& r, Ref<TensorMap> map) {
  r.set_output(0, Tensor::object(DType::kVariant, std::move(map)));
}

StatusOr<Kernel> make_empty_map(Prepare&) {
  return Kernel([](KernelRun& r) {
    set_map(r, make_ref<TensorMap>());
    return absl::OkStatus();
  });
}

Status check_key(Prepare& p, int input) {
  if (!is_object(p.input_dtype(input)) || p.input_dtype(input) == DType::kString) {
    return absl::OkStatus();
  }
  return unimplemented("keys of dtype ", p.input_dtype(input));
}

StatusOr<Kernel> make_map_insert(Prepare& p) {
  TENON_RETURN_IF_ERROR(check_key(p, 1));
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorMap* map, map_of(r));
    if (map->entries.size() >= kMostMapped) {
      return resource_exhausted("a map holds ", map->entries.size(), " tensors");
    }
    auto changed = make_ref<TensorMap>();
    changed->entries = map->entries;
    changed->entries.insert_or_assign(key_text(r.input(1)),
                                      std::pair(r.input(1).keep(), r.input(2).keep()));
    set_map(r, std::move(changed));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_map_erase(Prepare& p) {
  TENON_RETURN_IF_ERROR(check_key(p, 1));
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorMap* map, map_of(r));
    TENON_ASSIGN_OR_RETURN(const auto it, entry_of(*map, r.input(1), "erase"));
    auto changed = make_ref<TensorMap>();
    changed->entries = map->entries;
    changed->entries.erase(it->first);
    set_map(r, std::move(changed));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_map_lookup(Prepare& p) {
  TENON_RETURN_IF_ERROR(check_key(p, 1));
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorMap* map, map_of(r));
    TENON_ASSIGN_OR_RETURN(const auto it, entry_of(*map, r.input(1), "lookup"));
    const Tensor& value = it->second.second;
    if (value.dtype() != dtype) {
      return invalid_argument("the map holds ", value.dtype(), ", ", dtype, " is expected");
    }
    r.set_output(0, value);
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_map_has_key(Prepare& p) {
  TENON_RETURN_IF_ERROR(check_key(p, 1));
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorMap* map, map_of(r));
    *r.out<bool>(0) = map->entries.contains(key_text(r.input(1)));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_map_size(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorMap* map, map_of(r));
    *r.out<int32_t>(0) = static_cast<int32_t>(map->entries.size());
    return absl::OkStatus();
  });
}

// In TensorFlow's map the keys have no order; here it is that of their bytes.
StatusOr<Kernel> make_map_stack_keys(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorMap* map, map_of(r));
    if (map->entries.empty()) {
      return invalid_argument("TensorMapStackKeys cannot be called on empty map.");
    }
    std::vector<const Tensor*> keys;
    for (const auto& [text, entry] : map->entries) keys.push_back(&entry.first);
    for (const Tensor* key : keys) {
      if (key->dtype() != dtype || key->shape() != keys[0]->shape()) {
        return invalid_argument("Keys must all have the same dtype and shape, ", dtype, " and ",
                                keys[0]->shape(), ", not ", key->dtype(), " and ", key->shape());
      }
    }
    TENON_ASSIGN_OR_RETURN(
        Tensor all,
        stack_elements(r, dtype, PartialShape(keys[0]->shape()), static_cast<int64_t>(keys.size()),
                       [&](int64_t i) -> const Tensor& { return *keys[static_cast<size_t>(i)]; }));
    r.set_output(0, std::move(all));
    return absl::OkStatus();
  });
}

// TensorFlow's gradient of an insertion asks by a condition whether the gradient's map has the key.
Status no_map_gradient(Gradient& g) {
  return unimplemented("the gradient of ", g.forward().op->name());
}

// An op that gives a map.
constexpr OpDecl map_op(ArgsText inputs, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output_handle: variant",
      .attrs = "key_dtype: type; value_dtype: type",
      .supplies_outputs = true,
      .shape = scalar_shape,
      .gradient = no_map_gradient,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(EmptyTensorMap) = {
    .inputs = "",
    .outputs = "handle: variant",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_empty_map},
};
TENON_OP(TensorMapInsert) = map_op("input_handle: variant, key: key_dtype, value: value_dtype",
                                   make_map_insert);
TENON_OP(TensorMapErase) = map_op("input_handle: variant, key: key_dtype", make_map_erase);
TENON_OP(TensorMapLookup) = {
    .inputs = "input_handle: variant, key: key_dtype",
    .outputs = "value: value_dtype",
    .attrs = "key_dtype: type; value_dtype: type",
    .supplies_outputs = true,
    .shape = unknown_shape,
    .gradient = no_map_gradient,
    .kernels = {make_map_lookup},
};
TENON_OP(TensorMapHasKey) = {
    .inputs = "input_handle: variant, key: key_dtype",
    .outputs = "has_key: bool",
    .attrs = "key_dtype: type",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_map_has_key},
};
TENON_OP(TensorMapSize) = {
    .inputs = "input_handle: variant",
    .outputs = "size: int32",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_map_size},
};
TENON_OP(TensorMapStackKeys) = {
    .inputs = "input_handle: variant",
    .outputs = "keys: key_dtype",
    .attrs = "key_dtype: type",
    .supplies_outputs = true,
    .shape = unknown_shape,
    .gradient = not_differentiable,
    .kernels = {make_map_stack_keys},
};

}  // namespace tenon
