// Our own float32 matrix product: what MatMul runs for float32, item by item of its batch. Private
// to this folder.
//
// An item's rows and columns are cut into jobs() pieces, so that few large items keep a team busy.
// A result is summed in the order of k whatever the pieces are: its bits depend on its row of a and
// its column of b alone.
#pragma once

#include "tenon/kernels/matmul.h"

namespace tenon::kernels {

class FloatProduct {
 public:
  // For `items` products of these sizes (the spec's batches are not looked at) by a team.
  FloatProduct(const MatMulSpec& spec, int64_t items, int team);

  int64_t jobs() const { return row_pieces_ * column_pieces_; }
  // Threads that are worth their wake-up, for all items.
  int64_t workers() const { return workers_; }
  size_t worker_scratch_bytes() const;

  // `p`: of one item, b packed when the spec says so. Jobs of one item may run at the same time,
  // each with scratch of its own.
  void run_job(int64_t job, const MatMulPointers& p, float* scratch) const;

 private:
  struct Range {
    int64_t begin, end;
  };
  void cut(int64_t items, int team);
  bool copies_panels() const;
  int64_t terms_in_place(int64_t k, int64_t depth, int64_t column, int64_t width) const;
  void sum_panel(Range rows, int64_t column, int64_t k, int64_t depth, const MatMulPointers& p,
                 float* scratch) const;
  void finish(Range rows, Range columns, const MatMulPointers& p) const;

  int64_t m_, k_, n_;
  bool transpose_a_, transpose_b_, packed_;
  TilePostOps post_;
  int64_t workers_ = 1;
  int64_t row_pieces_ = 1;
  int64_t column_pieces_ = 1;
};

}  // namespace tenon::kernels
