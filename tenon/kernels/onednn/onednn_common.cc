#include "tenon/kernels/onednn/onednn_common.h"

#include "tenon/base/log.h"
#include "tenon/kernels/simd/dispatch.h"

extern "C" {  // <omp.h> needs no -fopenmp for these two
int omp_get_max_threads(void);
void omp_set_num_threads(int);
}

namespace tenon::kernels {
namespace {

const dnnl::stream& thread_stream() {
  thread_local const dnnl::stream stream(cpu_engine());
  return stream;
}

void append_activation(dnnl::post_ops& ops, Activation activation, float alpha) {
  using A = dnnl::algorithm;
  const auto eltwise = [&](A algorithm, float a = 0.0f, float b = 0.0f) {
    ops.append_eltwise(1.0f, algorithm, a, b);
  };
  switch (activation) {
    case Activation::kNone:
    case Activation::kRelu:  // these two: apply_post_ops()
    case Activation::kRelu6:
      return;
    case Activation::kTanh:
      return eltwise(A::eltwise_tanh);
    case Activation::kSigmoid:
      return eltwise(A::eltwise_logistic);
    case Activation::kElu:
      return eltwise(A::eltwise_elu, 1.0f);
    case Activation::kLeakyRelu:
      return eltwise(A::eltwise_relu, alpha);
    case Activation::kGeluErf:
      return eltwise(A::eltwise_gelu_erf);
    case Activation::kGeluTanh:
      return eltwise(A::eltwise_gelu_tanh);
    case Activation::kSwish:
      return eltwise(A::eltwise_swish, 1.0f);
  }
}

}  // namespace

namespace {

std::string name_of(const dnnl::memory::desc& desc) {
  const dnnl_memory_desc_t& data = desc.data;
  const dnnl_blocking_desc_t& blocking = data.format_desc.blocking;
  std::string name = cat(static_cast<int>(data.data_type), ":");
  for (int i = 0; i < data.ndims; ++i) {
    name += cat(data.padded_dims[i], "/", blocking.strides[i], ",");
  }
  for (int i = 0; i < blocking.inner_nblks; ++i) {
    name += cat(" ", blocking.inner_blks[i], "@", blocking.inner_idxs[i]);
  }
  return name;
}

}  // namespace

PackedLayout onednn_layout(const dnnl::memory::desc& piece, Precision precision, int64_t pieces,
                           const dnnl::memory::desc& last) {
  const size_t bytes =
      static_cast<size_t>(pieces - 1) * align_up(piece.get_size()) + last.get_size();
  return PackedLayout(std::make_shared<PackedLayout::Description>(PackedLayout::Description{
      cat(pieces, " of ", name_of(piece), ", last ", name_of(last)), bytes, precision,
      std::make_shared<OneDnnLayout>(OneDnnLayout{piece, last})}));
}

// TENON_MAX_ISA holds for oneDNN too, which can be told so before its first use only.
const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine = [] {
    const InstructionSet best = instruction_set();
    if (best == InstructionSet::kBaseline) dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
    if (best == InstructionSet::kAvx2) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

void run_alone() {
  if (omp_get_max_threads() != 1) omp_set_num_threads(1);
}

bool is_reference(std::string_view implementation) {
  return implementation.find("ref") != std::string_view::npos;
}

bool has_native_bfloat16() {
  static const bool native = [] {
    cpu_engine();  // applies the limit
    const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx;
  }();
  return native;
}

dnnl::memory::dims row_major(const dnnl::memory::dims& dims) {
  dnnl::memory::dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<int64_t>(dims[i], 1);
  return strides;
}

dnnl::memory::desc plain_desc(const dnnl::memory::dims& dims, dnnl::memory::data_type type) {
  return {dims, type, row_major(dims)};
}

SplitPostOps split_post_ops(const PostOps& post) {
  if (post.activation != Activation::kRelu && post.activation != Activation::kRelu6) {
    return {post, {}};
  }
  SplitPostOps split{post, {.activation = post.activation}};
  split.primitive.activation = Activation::kNone;
  if (post.residual == Residual::kAfterActivation) {
    std::swap(split.primitive.residual, split.rest.residual);
  }
  return split;
}

dnnl::primitive_attr attributes_of(const PostOps& post, const dnnl::memory::desc& output) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  if (post.residual == Residual::kBeforeActivation) {
    ops.append_binary(dnnl::algorithm::binary_add, output);
  }
  append_activation(ops, post.activation, post.alpha);
  if (post.residual == Residual::kAfterActivation) {
    ops.append_binary(dnnl::algorithm::binary_add, output);
  }
  attributes.set_post_ops(ops);
  return attributes;
}

int residual_argument(const PostOps& post) {
  const bool second =
      post.residual == Residual::kAfterActivation && post.activation != Activation::kNone;
  return DNNL_ARG_ATTR_MULTIPLE_POST_OP(second ? 1 : 0) | DNNL_ARG_SRC_1;
}

struct PreparedPrimitive::Slot {
  std::vector<dnnl::memory> memories;
  std::vector<dnnl_exec_arg_t> arguments;
};

PreparedPrimitive::PreparedPrimitive(dnnl::primitive primitive, std::vector<Argument> arguments)
    : primitive_(std::move(primitive)), arguments_(std::move(arguments)) {}

PreparedPrimitive::~PreparedPrimitive() {
  for (auto& place : slots_) delete place.load();
}

PreparedPrimitive::Slot* PreparedPrimitive::take() const {
  for (auto& place : slots_) {
    if (place.load(std::memory_order_relaxed) == nullptr) continue;
    if (Slot* slot = place.exchange(nullptr, std::memory_order_acquire)) return slot;
  }
  auto slot = std::make_unique<Slot>();
  for (const Argument& argument : arguments_) {
    slot->memories.emplace_back(argument.desc, cpu_engine(), nullptr);
    slot->arguments.push_back({argument.index, slot->memories.back().get()});
  }
  return slot.release();
}

void PreparedPrimitive::give(Slot* slot) const {
  for (auto& place : slots_) {
    Slot* empty = nullptr;
    if (place.compare_exchange_strong(empty, slot, std::memory_order_release)) return;
  }
  delete slot;
}

void PreparedPrimitive::run(std::initializer_list<const void*> pointers) const {
  run_alone();
  const dnnl::stream& stream = thread_stream();
  Slot* slot = take();
  size_t index = 0;
  for (const void* pointer : pointers) {
    dnnl_memory_set_data_handle_v2(slot->memories[index++].get(), const_cast<void*>(pointer),
                                   stream.get());
  }
  const dnnl_status_t status = dnnl_primitive_execute(
      primitive_.get(), stream.get(), static_cast<int>(index), slot->arguments.data());
  TENON_CHECK(status == dnnl_success);
  give(slot);
}

Status reorder(const dnnl::memory::desc& from_desc, const void* from,
               const dnnl::memory::desc& to_desc, void* to) {
  return guarded("packing weights", [&] {
    dnnl::memory source(from_desc, cpu_engine(), const_cast<void*>(from));
    dnnl::memory target(to_desc, cpu_engine(), to);
    dnnl::stream stream(cpu_engine());
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
  });
}

}  // namespace tenon::kernels
