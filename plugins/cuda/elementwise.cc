#include "plugins/cuda/elementwise.h"

#include <algorithm>
#include <cstring>

#include "plugins/cuda/jit.h"
#include "plugins/cuda/operations.h"

namespace plugin::cuda {
namespace {

constexpr int64_t kThreads = 256;
constexpr size_t kMostParameters = 500;  // of eight bytes; CUDA passes 4 KB

constexpr char kFunctions[] =
#include "plugins/cuda/elementwise_functions.inc"
    ;

const char* type_name(int32_t dtype) {
  switch (dtype) {
    case kFloat:
    case kHalf:
    case kBfloat16:
      return "float";
    case kDouble:
      return "double";
    case kInt8:
      return "signed char";
    case kUint8:
      return "unsigned char";
    case kInt16:
      return "short";
    case kUint16:
      return "unsigned short";
    case kInt32:
      return "int";
    case kUint32:
      return "unsigned";
    case kInt64:
      return "long long";
    case kUint64:
      return "unsigned long long";
    case kBool:
      return "bool";
    default:
      return nullptr;
  }
}

// What an element as it is stored stands for.
std::string loaded(int32_t dtype, const std::string& element) {
  if (dtype == kHalf) return "from_half(" + element + ")";
  if (dtype == kBfloat16) return "from_bfloat16(" + element + ")";
  if (dtype == kBool) return "(" + element + " != 0)";
  return element;
}

std::string stored(int32_t dtype, const std::string& value) {
  if (dtype == kHalf) return "to_half((float)" + value + ")";
  if (dtype == kBfloat16) return "to_bfloat16((float)" + value + ")";
  if (dtype == kBool) return "(unsigned char)(" + value + " != 0)";
  return "(" + std::string(type_name(dtype)) + ")" + value;
}

// `value` as one of `dtype`, in float.
std::string rounded(int32_t dtype, const std::string& value) {
  if (dtype == kHalf) return "from_half(to_half(" + value + "))";
  if (dtype == kBfloat16) return "from_bfloat16(to_bfloat16(" + value + "))";
  return value;
}
const char* stored_type(int32_t dtype) {
  if (dtype == kHalf || dtype == kBfloat16) return "unsigned short";
  return dtype == kBool ? "unsigned char" : type_name(dtype);
}

// The iteration space with neighbouring axes joined where all inputs walk on through them.
struct Walk {
  std::vector<int64_t> dims;
  std::vector<std::vector<int64_t>> strides;  // by input, then axis
};

// False when an input is not broadcast to `dims`.
bool plan_walk(const std::vector<int64_t>& dims,
               const std::vector<ElementwiseProgram::Input>& inputs, Walk& walk) {
  const size_t rank = dims.size();
  std::vector<std::vector<int64_t>> strides;
  for (const ElementwiseProgram::Input& input : inputs) {
    if (input.dims.size() > rank) return false;
    std::vector<int64_t> own(rank, 0);
    int64_t step = 1;
    const size_t more = rank - input.dims.size();
    for (size_t axis = rank; axis-- > more;) {
      const int64_t dim = input.dims[axis - more];
      if (dim != 1 && dim != dims[axis]) return false;
      own[axis] = dim == 1 ? 0 : step;
      step *= dim;
    }
    strides.push_back(std::move(own));
  }
  walk.strides.assign(inputs.size(), {});
  for (size_t axis = 0; axis < rank; ++axis) {
    if (dims[axis] == 1) continue;
    const bool joins = !walk.dims.empty() && [&] {
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (walk.strides[i].back() != strides[i][axis] * dims[axis]) return false;
      }
      return true;
    }();
    if (joins) {
      walk.dims.back() *= dims[axis];
    } else {
      walk.dims.push_back(dims[axis]);
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (joins) walk.strides[i].pop_back();
      walk.strides[i].push_back(strides[i][axis]);
    }
  }
  return true;
}

std::string number(size_t value) { return std::to_string(value); }

// Where each input's element is: `i`, 0, or o<k>, which is computed from the walk.
std::string write_offsets(const Walk& walk, std::vector<std::string>& offsets) {
  std::string text, steps;
  for (size_t i = 0; i < walk.strides.size(); ++i) {
    const std::vector<int64_t>& own = walk.strides[i];
    const bool still = std::all_of(own.begin(), own.end(), [](int64_t step) { return step == 0; });
    if (still || (own.size() == 1 && own[0] == 1)) {
      offsets.emplace_back(still ? "0" : "i");
      continue;
    }
    offsets.push_back("o" + number(i));
    text += "    index_t " + offsets.back() + " = 0;\n";
  }
  bool any = !text.empty();
  if (!any) return {};
  text += "    index_t rest = i;\n";
  for (size_t axis = walk.dims.size(); axis-- > 0;) {
    const std::string a = number(axis);
    text += "    { const index_t dim = (index_t)p.dims[" + a + "], at = rest % dim; rest /= dim;\n";
    for (size_t i = 0; i < offsets.size(); ++i) {
      if (offsets[i][0] != 'o' || walk.strides[i][axis] == 0) continue;
      text +=
          "      " + offsets[i] + " += at * (index_t)p.strides[" + number(i) + "][" + a + "];\n";
    }
    text += "    }\n";
  }
  return text;
}

// Neighbouring elements, read and written in moves of up to 16 bytes.
constexpr char kPackText[] =
    "template <class T> struct alignas(sizeof(T) * W > 16 ? 16 : sizeof(T) * W) Pack "
    "{ T at[W]; };\n";

// Do `width` neighbouring results come from as many neighbours, or one element, of each input, at
// addresses that are multiples of `width`?
bool is_packed(const Walk& walk, int64_t count, int64_t width) {
  if (count % width != 0 || walk.dims.empty() || walk.dims.back() % width != 0) return false;
  for (const std::vector<int64_t>& own : walk.strides) {
    if (own.back() != 0 && own.back() != 1) return false;
    const bool whole =
        std::all_of(own.begin(), own.end() - 1, [&](int64_t s) { return s % width == 0; });
    if (own.back() == 1 && !whole) return false;
  }
  return true;
}

// Elements of a thread that are read at once, 1 for none: 16 bytes of half precision where there
// are threads enough.
int64_t pack_width(const ElementwiseProgram& p, const Walk& walk, int64_t count) {
  constexpr int64_t kMany = int64_t{1} << 20;
  const auto is_short = [](int32_t dtype) { return size_of(dtype) <= 2; };
  const bool some_short =
      std::any_of(p.outputs.begin(), p.outputs.end(), is_short) ||
      std::any_of(p.inputs.begin(), p.inputs.end(),
                  [&](const ElementwiseProgram::Input& input) { return is_short(input.dtype); });
  if (some_short && count >= kMany && is_packed(walk, count, 8)) return 8;
  return is_packed(walk, count, 4) ? 4 : 1;
}

std::string constant_text(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return "(C)__uint_as_float(" + std::to_string(bits) + "u)";
}

TenonStatus* write_instructions(const ElementwiseProgram& p, std::string& text) {
  size_t value = p.inputs.size() + p.program.constants.size();
  for (const FusedProgram::Instruction& one : p.program.instructions) {
    const bool cast = one.op == "Cast";
    const Operation* operation = cast ? nullptr : find_operation(one.op);
    if (!cast && (!operation || !operation->takes(p.compute))) {
      return unimplemented("an operation it has not");
    }
    std::string call = cast ? "(" : std::string(operation->function) + "<C>(";
    for (int i = 0; i < (cast ? 1 : operation->operands); ++i) {
      const int32_t operand = one.operands[static_cast<size_t>(i)];
      if (operand < 0 || static_cast<size_t>(operand) >= value) {
        return error(kInvalidArgument, "an operation lacks an operand");
      }
      call += (i ? ", v" : "v") + std::to_string(operand);
    }
    if (operation && operation->has_alpha) call += ", " + constant_text(one.alpha);
    call += ")";
    const bool truth = operation && operation->gives_truth;
    text += "    const C v" + number(value++) + " = " + (truth ? call : rounded(one.dtype, call)) +
            ";\n";
  }
  return nullptr;
}

}  // namespace

TenonStatus* write_elementwise(const ElementwiseProgram& p, ElementwiseSource& source) {
  Walk walk;
  if (!plan_walk(p.dims, p.inputs, walk)) return unimplemented("shapes that do not broadcast");
  for (const auto& input : p.inputs) {
    if (!type_name(input.dtype)) return unimplemented("a dtype that the GPU has not");
  }
  for (int32_t dtype : p.outputs) {
    if (!type_name(dtype)) return unimplemented("a dtype that the GPU has not");
  }
  if (!type_name(p.compute)) return unimplemented("a dtype that the GPU has not");
  source.count = 1;
  for (int64_t dim : p.dims) source.count *= dim;
  const size_t rank = std::max<size_t>(walk.dims.size(), 1);
  const size_t inputs = std::max<size_t>(p.inputs.size(), 1);
  std::vector<std::string> offsets;
  const std::string offset_text = write_offsets(walk, offsets);
  const int64_t width = pack_width(p, walk, source.count);
  const bool packed = width > 1;
  source.per_thread = packed ? width : 4;
  const std::string w = std::to_string(source.per_thread);
  std::string loads, body, stores;
  for (size_t i = 0; i < p.inputs.size(); ++i) {
    const std::string type = stored_type(p.inputs[i].dtype), n = number(i);
    const bool pack = packed && walk.strides[i].back() == 1;
    const std::string held = pack ? "Pack<" + type + ">" : type;
    loads += "    const " + held + " a" + n + " = *(const " + held + "*)((const " + type +
             "*)p.in[" + n + "] + " + offsets[i] + ");\n";
    body += "    const C v" + n + " = (C)" +
            loaded(p.inputs[i].dtype, "a" + n + (pack ? ".at[k]" : "")) + ";\n";
  }
  for (size_t i = 0; i < p.program.constants.size(); ++i) {
    body += "    const C v" + number(p.inputs.size() + i) + " = " +
            constant_text(p.program.constants[i]) + ";\n";
  }
  if (TenonStatus* status = write_instructions(p, body)) return status;
  for (size_t i = 0; i < p.outputs.size(); ++i) {
    const std::string type = stored_type(p.outputs[i]), n = number(i);
    const std::string held = packed ? "Pack<" + type + ">" : type;
    loads += "    " + held + " r" + n + ";\n";
    body += "    r" + n + (packed ? ".at[k] = " : " = ") +
            stored(p.outputs[i], "v" + std::to_string(p.program.outputs[i])) + ";\n";
    stores += "    *(" + held + "*)((" + type + "*)p.out[" + n + "] + i) = r" + n + ";\n";
  }
  const bool wide = source.count >= (int64_t{1} << 30);
  source.text =
      std::string(kFunctions) + "typedef " + type_name(p.compute) + " C;\ntypedef " +
      (wide ? "long long" : "unsigned") + " index_t;\nstruct P {\n  const void* in[" +
      number(inputs) + "]; void* out[" + number(p.outputs.size()) +
      "]; long long count; long long dims[" + number(rank) + "]; long long strides[" +
      number(inputs) + "][" + number(rank) + "];\n};\nenum { W = " + w + " };\n" + kPackText +
      "extern \"C\" __global__ void __launch_bounds__(256) elementwise(const P p) {\n" +
      (packed ? "  const index_t i = ((index_t)blockIdx.x * 256 + threadIdx.x) * W;\n"
                "  if (i >= (index_t)p.count) return;\n" +
                    offset_text + loads + "  #pragma unroll\n  for (int k = 0; k < W; ++k) {\n" +
                    body + "  }\n" + stores + "}\n"
              : "  index_t i = (index_t)blockIdx.x * 1024 + threadIdx.x;\n"
                "  #pragma unroll\n"
                "  for (int k = 0; k < 4; ++k, i += 256) {\n"
                "    if (i >= (index_t)p.count) return;\n" +
                    offset_text + loads + body + stores + "  }\n}\n");
  source.parameters = {source.count};
  for (size_t axis = 0; axis < rank; ++axis) {
    source.parameters.push_back(axis < walk.dims.size() ? walk.dims[axis] : 1);
  }
  for (size_t i = 0; i < inputs; ++i) {
    for (size_t axis = 0; axis < rank; ++axis) {
      const bool has = i < walk.strides.size() && axis < walk.strides[i].size();
      source.parameters.push_back(has ? walk.strides[i][axis] : 0);
    }
  }
  if (source.parameters.size() + inputs + p.outputs.size() > kMostParameters) {
    return unimplemented("more tensors than a kernel takes");
  }
  return nullptr;
}

TenonStatus* Elementwise::create(const Device& device, const ElementwiseProgram& program,
                                 Elementwise& made) {
  ElementwiseSource source;
  if (TenonStatus* status = write_elementwise(program, source)) return status;
  made.parameters_ = std::move(source.parameters);
  made.count_ = source.count;
  made.per_block_ = kThreads * source.per_thread;
  return find_kernel(device, source.text, "elementwise", made.kernel_);
}

TenonStatus* Elementwise::launch(cudaStream_t stream,
                                 const std::vector<const void*>& addresses) const {
  if (count_ == 0) return nullptr;
  int64_t parameter[kMostParameters];
  size_t used = 0;
  for (const void* address : addresses) {
    parameter[used++] = static_cast<int64_t>(reinterpret_cast<uintptr_t>(address));
  }
  std::copy(parameters_.begin(), parameters_.end(), parameter + used);
  void* arguments[] = {parameter};
  const dim3 blocks(static_cast<unsigned>((count_ + per_block_ - 1) / per_block_));
  return status_of(cudaLaunchKernel(reinterpret_cast<const void*>(kernel_), blocks,
                                    dim3(static_cast<unsigned>(kThreads)), arguments, 0, stream),
                   "an element-wise kernel");
}

TenonStatus* Elementwise::launch(cudaStream_t stream, std::initializer_list<const void*> inputs,
                                 std::initializer_list<void*> outputs) const {
  std::vector<const void*> addresses(inputs);
  addresses.insert(addresses.end(), outputs.begin(), outputs.end());
  return launch(stream, addresses);
}

TenonStatus* Elementwise::launch(TenonRun* run) const {
  std::vector<const void*> addresses;
  for (int32_t i = 0; i < host->run_num_inputs(run); ++i) {
    addresses.push_back(host->run_input(run, i).data);
  }
  for (int32_t i = 0; i < host->run_num_outputs(run); ++i) {
    addresses.push_back(host->run_output(run, i).data);
  }
  return launch(enqueue(run), addresses);
}

TenonStatus* OutputEnd::create(const TenonPrepare* prepare, const ProductEnd& end,
                               OutputEnd& made) {
  made.follows_ = end.bias >= 0 || end.residual >= 0 || !end.activation.empty();
  if (!made.follows_) return nullptr;
  const TenonType y = host->prepare_output(prepare, 0);
  ElementwiseProgram p;
  p.dims = dims_of(y);
  p.outputs = {y.dtype};
  p.compute = y.dtype;
  p.inputs = {{y.dtype, p.dims}};
  for (const int32_t argument : {end.bias, end.residual}) {
    if (argument < 0) continue;
    p.inputs.push_back({y.dtype, dims_of(host->prepare_input(prepare, argument))});
    made.arguments_.push_back(argument);
  }
  const int32_t residual = end.bias < 0 ? 1 : 2;
  int32_t value = 0, next = static_cast<int32_t>(p.inputs.size());
  const auto then = [&](const std::string& op, int32_t with) {
    p.program.instructions.push_back({op, {value, with, -1}, end.alpha});
    value = next++;
  };
  if (end.bias >= 0) then("AddV2", 1);
  if (end.residual >= 0 && !end.residual_after_activation) then("AddV2", residual);
  if (!end.activation.empty()) then(end.activation, -1);
  if (end.residual >= 0 && end.residual_after_activation) then("AddV2", residual);
  p.program.outputs = {value};
  return Elementwise::create(*device_of(prepare), p, made.program_);
}

TenonStatus* OutputEnd::launch(TenonRun* run) const {
  if (!follows_) return nullptr;
  void* y = output<void>(run, 0);
  std::vector<const void*> addresses{y};
  for (const int32_t argument : arguments_) addresses.push_back(input<void>(run, argument));
  addresses.push_back(y);
  return program_.launch(enqueue(run), addresses);
}

TenonStatus* make_update(const TenonPrepare* prepare, const char* op, int32_t dtype,
                         const std::vector<int64_t>& dims, Elementwise& made) {
  ElementwiseProgram p;
  p.dims = dims;
  p.inputs = {{dtype, dims}, {dtype, dims}};
  p.outputs = {dtype};
  p.compute = dtype;
  p.program.instructions = {{op, {0, 1, -1}, 0}};
  p.program.outputs = {2};
  return Elementwise::create(*device_of(prepare), p, made);
}

}  // namespace plugin::cuda
