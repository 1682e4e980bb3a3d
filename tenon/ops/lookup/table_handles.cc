// HashTableV2, MutableHashTableV2 and their like: the tables of a model, by name, and those without
// a name, which live as long as their handle.
#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/lookup/table.h"

namespace tenon {
namespace {

// The values' shape is an attribute of the tables that have one.
PartialShape value_shape_of(const AttrMap& attrs, const OpDef& op) {
  return op.find_attr("value_shape") ? attrs.get<PartialShape>("value_shape")
                                     : PartialShape(Shape());
}

Status table_handle_shape(ShapeContext& c) {
  c.set_output(0, Shape());
  c.set_handle(0, {c.attr<DType>("value_dtype"), value_shape_of(c.attrs(), c.op())});
  return absl::OkStatus();
}

StatusOr<TableType> table_type(const Prepare& p, bool is_mutable) {
  const PartialShape shape = value_shape_of(p.attrs(), p.op());
  if (!shape.is_fully_known()) {
    return invalid_argument("value_shape ", shape, " of a table must be fully known");
  }
  return TableType{p.attr<DType>("key_dtype"), p.attr<DType>("value_dtype"), shape.to_shape(),
                   is_mutable};
}

template <bool is_mutable>
StatusOr<Kernel> make_named_table(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const TableType type, table_type(p, is_mutable));
  std::string name = p.attr<std::string>("shared_name");
  if (name.empty()) name = std::string(p.node_name());
  if (!p.resources()) return failed_precondition("table '", name, "' is used without a model");
  TENON_ASSIGN_OR_RETURN(Ref<Object> object,
                         p.resources()->find_or_create(p.attr<std::string>("container"), name,
                                                       [&] { return LookupTable::create(type); }));
  const auto* table = object_cast<LookupTable>(object.get());
  if (!table) {
    return invalid_argument("resource '", name, "' is a ", object->type_name(),
                            ", a LookupTable is expected");
  }
  if (!(table->type() == type)) {
    return invalid_argument("Conflicting key/value dtypes ", type.key, "->", type.value, " with ",
                            table->type().key, "->", table->type().value, " for table ", name);
  }
  return Kernel([handle = Tensor::object(DType::kResource, object)](KernelRun& r) {
    r.set_output(0, handle);
    return absl::OkStatus();
  });
}

template <bool is_mutable>
StatusOr<Kernel> make_anonymous_table(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const TableType type, table_type(p, is_mutable));
  return Kernel([type](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Ref<Object> table, LookupTable::create(type));
    r.set_output(0, Tensor::object(DType::kResource, std::move(table)));
    return absl::OkStatus();
  });
}

constexpr OpDecl named_table(AttrsText attrs, KernelFactory factory, ArgsText inputs = "") {
  return {
      .inputs = inputs,
      .outputs = "table_handle: resource",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = table_handle_shape,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

// A node that makes a new table each time is not the same value as its equal.
constexpr OpDecl anonymous_table(AttrsText attrs, KernelFactory factory, ArgsText inputs = "") {
  OpDecl decl = named_table(attrs, factory, inputs);
  decl.effect = Effect::kRandom;
  return decl;
}

}  // namespace

#define TENON_TABLE_ATTRS                                                            \
  "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = " \
  "false; key_dtype: type; value_dtype: type"
#define TENON_DENSE_ATTRS \
  "; value_shape: shape = []; initial_num_buckets: int = 131072; max_load_factor: float = 0.8"

TENON_OP(HashTableV2) = named_table(TENON_TABLE_ATTRS, make_named_table<false>);
TENON_OP(MutableHashTableV2) = named_table(TENON_TABLE_ATTRS, make_named_table<true>);
TENON_OP(MutableHashTableOfTensorsV2) = named_table(TENON_TABLE_ATTRS "; value_shape: shape = []",
                                                    make_named_table<true>);
// How many buckets an implementation uses and which keys it reserves for itself are its own affair:
// entries are the same.
TENON_OP(MutableDenseHashTableV2) = named_table(TENON_TABLE_ATTRS TENON_DENSE_ATTRS,
                                                make_named_table<true>,
                                                "empty_key: key_dtype, deleted_key: key_dtype");
TENON_OP(AnonymousHashTable) = anonymous_table("key_dtype: type; value_dtype: type",
                                               make_anonymous_table<false>);
TENON_OP(AnonymousMutableHashTable) = anonymous_table("key_dtype: type; value_dtype: type",
                                                      make_anonymous_table<true>);
TENON_OP(AnonymousMutableHashTableOfTensors) = anonymous_table(
    "key_dtype: type; value_dtype: type; value_shape: shape = []", make_anonymous_table<true>);
TENON_OP(AnonymousMutableDenseHashTable) =
    anonymous_table("key_dtype: type; value_dtype: type" TENON_DENSE_ATTRS,
                    make_anonymous_table<true>, "empty_key: key_dtype, deleted_key: key_dtype");

#undef TENON_DENSE_ATTRS
#undef TENON_TABLE_ATTRS

}  // namespace tenon
