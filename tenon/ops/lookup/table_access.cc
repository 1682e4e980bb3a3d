// Reading and changing tables: LookupTableFindV2, Insert, Import, Remove, Export, Size.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/lookup/table.h"

namespace tenon {
namespace {

// keys' shape, then that of a value. A scalar default says that values are scalars.
Status table_find_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  const PartialShape& keys = c.input(1);
  const HandleInfo* info = c.handle(0);
  PartialShape value = info ? info->shape : PartialShape();
  if (!info && c.input(2).has_rank() && c.input(2).rank() == 0) value = Shape();
  if (!keys.has_rank() || !value.has_rank()) return unknown_shape(c);
  std::vector<int64_t> dims(keys.dims().begin(), keys.dims().end());
  dims.insert(dims.end(), value.dims().begin(), value.dims().end());
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_table_find(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const LookupTable* table, table_of(r, 0));
    TENON_ASSIGN_OR_RETURN(Tensor values, table->find(r.input(1), r.input(2)));
    r.set_output(0, std::move(values));
    return absl::OkStatus();
  });
}

using ChangeTable = Status (LookupTable::*)(const Tensor&, const Tensor&);
template <ChangeTable change>
StatusOr<Kernel> make_table_change(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(LookupTable * table, table_of(r, 0));
    return (table->*change)(r.input(1), r.input(2));
  });
}

StatusOr<Kernel> make_table_remove(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(LookupTable * table, table_of(r, 0));
    return table->remove(r.input(1));
  });
}

// InitializeTableV2 wants vectors of one length.
Status initialise_table_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  return PartialShape::merge(c.input(1), c.input(2)).status();
}

Status table_export_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  c.set_output(0, {-1});
  c.set_output(1, PartialShape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_table_export(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const LookupTable* table, table_of(r, 0));
    const DType key = r.output(0).dtype(), value = r.output(1).dtype();
    TENON_ASSIGN_OR_RETURN(LookupTable::Entries entries, table->entries());
    if (table->type().key != key || table->type().value != value) {
      return invalid_argument("Conflicting key/value dtypes ", key, "->", value, " with ",
                              table->type().key, "->", table->type().value);
    }
    r.set_output(0, std::move(entries.keys));
    r.set_output(1, std::move(entries.values));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_table_size(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const LookupTable* table, table_of(r, 0));
    *r.out<int64_t>(0) = table->size();
    return absl::OkStatus();
  });
}

constexpr OpDecl table_change(ArgsText inputs, AttrsText attrs, ShapeFn shape,
                              KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "",
      .attrs = attrs,
      .effect = Effect::kWrite,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(LookupTableFindV2) = {
    .inputs = "table_handle: resource, keys: Tin, default_value: Tout",
    .outputs = "values: Tout",
    .attrs = "Tin: type; Tout: type",
    .effect = Effect::kRead,
    .supplies_outputs = true,
    .shape = table_find_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_table_find},
};

TENON_OP(LookupTableInsertV2) = table_change("table_handle: resource, keys: Tin, values: Tout",
                                             "Tin: type; Tout: type", no_outputs,
                                             make_table_change<&LookupTable::insert>);
TENON_OP(LookupTableImportV2) = table_change("table_handle: resource, keys: Tin, values: Tout",
                                             "Tin: type; Tout: type", no_outputs,
                                             make_table_change<&LookupTable::replace_all>);
TENON_OP(LookupTableRemoveV2) = table_change("table_handle: resource, keys: Tin", "Tin: type",
                                             no_outputs, make_table_remove);
TENON_OP(InitializeTableV2) = table_change("table_handle: resource, keys: Tkey, values: Tval",
                                           "Tkey: type; Tval: type", initialise_table_shape,
                                           make_table_change<&LookupTable::initialise>);

TENON_OP(LookupTableExportV2) = {
    .inputs = "table_handle: resource",
    .outputs = "keys: Tkeys, values: Tvalues",
    .attrs = "Tkeys: type; Tvalues: type",
    .effect = Effect::kRead,
    .supplies_outputs = true,
    .shape = table_export_shape,
    .gradient = not_differentiable,
    .kernels = {make_table_export},
};

TENON_OP(LookupTableSizeV2) = {
    .inputs = "table_handle: resource",
    .outputs = "size: int64",
    .effect = Effect::kRead,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_table_size},
};

}  // namespace tenon
