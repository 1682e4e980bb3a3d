// What the oneDNN-backed kernels of this folder share. Private: included by .cc files only.
//
// oneDNN signals failure by exceptions; they are caught here (guarded) and never leave the folder.
#pragma once

#include <array>
#include <atomic>
#include <dnnl.hpp>
#include <vector>

#include "tenon/base/status.h"
#include "tenon/kernels/post_ops.h"
#include "tenon/kernels/product/packed_description.h"

namespace tenon::kernels {

// Pieces one after the other, each beginning on a line of its own.
struct OneDnnLayout {
  dnnl::memory::desc piece;
  dnnl::memory::desc last;
};

PackedLayout onednn_layout(const dnnl::memory::desc& piece, Precision precision, int64_t pieces,
                           const dnnl::memory::desc& last);
inline const dnnl::memory::desc& piece_desc(const PackedLayout& layout, bool last) {
  const OneDnnLayout& pieces = *layout.description()->onednn;
  return last ? pieces.last : pieces.piece;
}

const dnnl::engine& cpu_engine();

// Makes the calling thread lead no team of OpenMP's: oneDNN reads its size when a primitive is made
// and again when it runs. Ours split the work, so that bits do not depend on the team, and one
// primitive runs on one thread.
void run_alone();

// Does the name of an implementation say that it is oneDNN's reference code, which is a thousand
// times slower than the others?
bool is_reference(std::string_view implementation);

// Are bfloat16 products native to this processor?
bool has_native_bfloat16();

// Runs `body`, which may throw dnnl::error; the error becomes an INTERNAL status naming `what`.
template <class Body>
Status guarded(std::string_view what, Body&& body) {
  try {
    run_alone();
    body();
    return absl::OkStatus();
  } catch (const dnnl::error& error) {
    return internal(what, ": oneDNN cannot do this: ", error.message);
  }
}

// Row-major strides, and a float32 descriptor made of dims and strides.
dnnl::memory::dims row_major(const dnnl::memory::dims& dims);
dnnl::memory::desc plain_desc(const dnnl::memory::dims& dims,
                              dnnl::memory::data_type type = dnnl::memory::data_type::f32);

// What oneDNN does of `post`, and what is left for apply_post_ops(): oneDNN's relu makes 0 of a
// NaN, which TensorFlow's keeps, so that relu, relu6 and what follows them are done by loops of
// ours.
struct SplitPostOps {
  PostOps primitive;
  PostOps rest;
};
SplitPostOps split_post_ops(const PostOps& post);

// User-managed scratchpad and the post-ops; `output` is the descriptor of y.
dnnl::primitive_attr attributes_of(const PostOps& post, const dnnl::memory::desc& output);

// Argument index of the residual under attributes_of(post).
int residual_argument(const PostOps& post);

// A primitive and the memory objects that its runs use. run() may be called by several threads at
// once: each takes a set of memory objects of its own, made on the first run and kept.
class PreparedPrimitive {
 public:
  struct Argument {
    int index;
    dnnl::memory::desc desc;
  };
  PreparedPrimitive() = default;
  PreparedPrimitive(dnnl::primitive primitive, std::vector<Argument> arguments);
  PreparedPrimitive(const PreparedPrimitive&) = delete;
  PreparedPrimitive& operator=(const PreparedPrimitive&) = delete;
  ~PreparedPrimitive();

  // One pointer per argument, in the order given to the constructor.
  void run(std::initializer_list<const void*> pointers) const;

 private:
  struct Slot;
  Slot* take() const;
  void give(Slot* slot) const;

  dnnl::primitive primitive_;
  std::vector<Argument> arguments_;
  mutable std::array<std::atomic<Slot*>, 16> slots_{};
};

// Copies between layouts, once (weights at load).
Status reorder(const dnnl::memory::desc& from_desc, const void* from,
               const dnnl::memory::desc& to_desc, void* to);

inline size_t align_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace tenon::kernels
