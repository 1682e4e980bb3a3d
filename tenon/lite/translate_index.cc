// Operators that go by indices: gathers, scatters, segments, sorting, tables.
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

void gather(OperatorContext& c) {
  const auto& o = c.options<schema::GatherOptions>();
  c.set(0, c.b.op("GatherV2", {c.in(0), c.in(1), c.b.scalar<int32_t>(o.axis())},
                  {{"batch_dims", int64_t{o.batch_dims()}}}));
}

void gather_nd(OperatorContext& c) { c.set(0, c.b.op("GatherNd", {c.in(0), c.in(1)})); }

void scatter_nd(OperatorContext& c) { c.set(0, c.b.op("ScatterNd", {c.in(0), c.in(1), c.in(2)})); }

void embedding_lookup(OperatorContext& c) {
  c.set(0, c.b.op("GatherV2", {c.in(1), c.in(0), c.b.scalar<int32_t>(0)}));
}

// The weighted rows of each id's list, added, averaged or divided by the root of the weights'
// squares. `indices` [n, rank] say where in the output each id belongs; its last axis counts.
void embedding_lookup_sparse(OperatorContext& c) {
  const int combiner = c.options<schema::EmbeddingLookupSparseOptions>().combiner();
  const Endpoint ids = c.in(0), indices = c.in(1), dense_shape = c.in(2), weights = c.in(3);
  const PartialShape index_shape = c.in_shape(1);
  const PartialShape table_shape = c.in_shape(4);
  if (!index_shape.has_rank() || index_shape.rank() != 2 || index_shape[1] != 2 ||
      !table_shape.is_fully_known() || table_shape.rank() < 2) {
    return c.fail(unimplemented("lists in more than two dimensions"));
  }
  // Rows of more than one axis are flat meanwhile.
  std::vector<int64_t> dims(table_shape.dims().begin(), table_shape.dims().end());
  const int64_t flat[] = {dims[0], table_shape.to_shape().product(1, table_shape.rank())};
  const Endpoint table = dims.size() == 2 ? c.in(4) : c.b.reshape(c.in(4), flat);
  const auto column = [&](Endpoint from) {
    return c.b.op(
        "StridedSlice", {from, c.b.integers({0, 0}), c.b.integers({0, 1}), c.b.integers({1, 1})},
        {{"begin_mask", int64_t{1}}, {"end_mask", int64_t{1}}, {"shrink_axis_mask", int64_t{2}}});
  };
  const Endpoint rows = c.b.element(dense_shape, 0);
  const Endpoint segment = column(indices);
  const auto sum = [&](Endpoint of) { return c.b.op("UnsortedSegmentSum", {of, segment, rows}); };
  const Endpoint picked = c.b.op("GatherV2", {table, ids, c.b.scalar<int32_t>(0)});
  const Endpoint factor = c.b.op("ExpandDims", {weights, c.b.scalar<int32_t>(1)});
  Endpoint value = sum(c.b.mul(picked, factor));
  if (combiner != 0) {
    Endpoint total = sum(combiner == 1 ? factor : c.b.mul(factor, factor));
    if (combiner == 2) total = c.b.op("Sqrt", {total});
    value = c.b.op("DivNoNan", {value, total});
  }
  dims[0] = -1;
  c.set(0, dims.size() == 2 ? value : c.b.reshape(value, dims));
}

// Rows of the table whose key is looked up, zeros (and hit 0) where no key is equal.
void hashtable_lookup(OperatorContext& c) {
  const Endpoint lookup = c.b.op("ExpandDims", {c.in(0), c.b.scalar<int32_t>(1)});
  const Endpoint equal = c.b.cast(c.b.op("Equal", {lookup, c.in(1)}), DType::kInt32);
  const Endpoint axis = c.b.scalar<int32_t>(1);
  const Endpoint place = c.b.op("ArgMax", {equal, axis}, {{"output_type", DType::kInt32}});
  const Endpoint hit = c.b.op("Max", {equal, axis});
  const Endpoint rows = c.b.op("GatherV2", {c.in(2), place, c.b.scalar<int32_t>(0)});
  const PartialShape table = c.in_shape(2);
  if (!table.has_rank() || c.in_dtype(2) == DType::kString) {
    return c.fail(unimplemented("a table of strings or of unknown rank"));
  }
  std::vector<int64_t> dims(static_cast<size_t>(table.rank()), 1);
  dims[0] = -1;
  c.set(0, c.b.mul(rows, c.b.cast(c.b.reshape(hit, dims), c.in_dtype(2))));
  if (c.num_outputs() > 1) c.set(1, c.b.cast(hit, c.out_dtype(1)));
}

void one_hot(OperatorContext& c) {
  c.set(0, c.b.op("OneHot", {c.in(0), c.in(1), c.in(2), c.in(3)},
                  {{"axis", int64_t{c.options<schema::OneHotOptions>().axis()}}}));
}

void where(OperatorContext& c) { c.set(0, c.b.op("Where", {c.in(0)})); }

void unique(OperatorContext& c) {
  c.set_all(c.b.ops("Unique", {c.in(0)}, {{"out_idx", c.out_dtype(1)}}));
}

void top_k(OperatorContext& c) {
  const Endpoint k = c.b.reshape(c.in(1), std::span<const int64_t>());
  c.set_all(c.b.ops("TopKV2", {c.in(0), k}, {{"index_type", c.out_dtype(1)}}));
}

void sparse_to_dense(OperatorContext& c) {
  c.set(0, c.b.op("SparseToDense", {c.in(0), c.in(1), c.in(2), c.in(3)},
                  {{"validate_indices", false}}));
}

void segment_sum(OperatorContext& c) { c.set(0, c.b.op("SegmentSum", {c.in(0), c.in(1)})); }

template <int which>
void unsorted_segment(OperatorContext& c) {
  constexpr const char* kNames[] = {"UnsortedSegmentSum", "UnsortedSegmentProd",
                                    "UnsortedSegmentMax", "UnsortedSegmentMin"};
  const Endpoint count = c.b.reshape(c.in(2), std::span<const int64_t>());
  c.set(0, c.b.op(kNames[which], {c.in(0), c.in(1), count}));
}

void dynamic_update_slice(OperatorContext& c) {
  c.set(0, c.b.op("XlaDynamicUpdateSlice", {c.in(0), c.in(1), c.in(2)}));
}

// Outputs are padded to the number that is asked for.
template <bool soft>
void non_max_suppression(OperatorContext& c) {
  std::vector<Endpoint> inputs = c.all_inputs();
  if (!soft) inputs.push_back(c.b.scalar(0.0F));
  std::vector<Endpoint> outputs =
      c.b.ops("_LiteNonMaxSuppression", std::move(inputs), {{"pad_to_max_output_size", true}});
  if (!soft && outputs.size() == 3) outputs.erase(outputs.begin() + 1);  // the scores
  c.set_all(outputs);
}

void hashtable(OperatorContext& c) {
  const auto& o = c.options<schema::HashtableOptions>();
  const auto type = [](int number) {
    // TensorType: int64 and string are what tables hold.
    return number == 4 ? DType::kInt64 : number == 5 ? DType::kString : DType::kInvalid;
  };
  const DType key = type(o.key_dtype()), value = type(o.value_dtype());
  if (key == DType::kInvalid || value == DType::kInvalid || key == value) {
    return c.fail(unimplemented("a table other than from int64 to string or back"));
  }
  c.set(0, c.b.op("HashTableV2", {},
                  {{"key_dtype", key},
                   {"value_dtype", value},
                   {"shared_name", cat("hashtable_", o.table_id())}}));
}

void hashtable_find(OperatorContext& c) {
  const Endpoint fallback = c.b.reshape(c.in(2), std::span<const int64_t>());
  c.set(0, c.b.op("LookupTableFindV2", {c.in(0), c.in(1), fallback}));
}

void hashtable_import(OperatorContext& c) {
  c.b.node("LookupTableImportV2", {c.in(0), c.in(1), c.in(2)});
}

void hashtable_size(OperatorContext& c) {
  c.set(0, c.b.reshape(c.b.op("LookupTableSizeV2", {c.in(0)}), c.b.integers({1})));
}

}  // namespace

TENON_LITE_OPERATOR(DYNAMIC_UPDATE_SLICE, dynamic_update_slice)
TENON_LITE_OPERATOR(EMBEDDING_LOOKUP, embedding_lookup)
TENON_LITE_OPERATOR(EMBEDDING_LOOKUP_SPARSE, embedding_lookup_sparse)
TENON_LITE_OPERATOR(GATHER, gather)
TENON_LITE_OPERATOR(GATHER_ND, gather_nd)
TENON_LITE_OPERATOR(HASHTABLE, hashtable)
TENON_LITE_OPERATOR(HASHTABLE_FIND, hashtable_find)
TENON_LITE_OPERATOR(HASHTABLE_IMPORT, hashtable_import)
TENON_LITE_OPERATOR(HASHTABLE_LOOKUP, hashtable_lookup)
TENON_LITE_OPERATOR(HASHTABLE_SIZE, hashtable_size)
TENON_LITE_OPERATOR(NON_MAX_SUPPRESSION_V4, non_max_suppression<false>)
TENON_LITE_OPERATOR(NON_MAX_SUPPRESSION_V5, non_max_suppression<true>)
TENON_LITE_OPERATOR(ONE_HOT, one_hot)
TENON_LITE_OPERATOR(SCATTER_ND, scatter_nd)
TENON_LITE_OPERATOR(SEGMENT_SUM, segment_sum)
TENON_LITE_OPERATOR(SPARSE_TO_DENSE, sparse_to_dense)
TENON_LITE_OPERATOR(TOPK_V2, top_k)
TENON_LITE_OPERATOR(UNIQUE, unique)
TENON_LITE_OPERATOR(UNSORTED_SEGMENT_MAX, unsorted_segment<2>)
TENON_LITE_OPERATOR(UNSORTED_SEGMENT_MIN, unsorted_segment<3>)
TENON_LITE_OPERATOR(UNSORTED_SEGMENT_PROD, unsorted_segment<1>)
TENON_LITE_OPERATOR(UNSORTED_SEGMENT_SUM, unsorted_segment<0>)
TENON_LITE_OPERATOR(WHERE, where)

}  // namespace tenon::lite
