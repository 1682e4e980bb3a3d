#include "tenon/kernels/fused_elementwise.h"

#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/kernels/cast.h"
#include "tenon/kernels/grain.h"

namespace tenon::kernels {
namespace {

// Elements of one tile: kMaxLive of them are 64 KiB, and a usual chain's four to eight fit L1.
constexpr int64_t kTile = 512;

using Instruction = FusedInstruction;

struct Operand {
  const void* data;
  int64_t step;
};

// Bytes of a value of float32, truth included, float16 or bfloat16.
size_t width_of(DType dtype) { return dtype == DType::kFloat ? 4 : 2; }

// A value that is the same for all elements, in a dtype of a program.
struct Cell {
  alignas(float) std::byte bytes[sizeof(float)];
};
Cell cell_of(float value, DType dtype) {
  Cell cell{};
  if (dtype == DType::kFloat) {
    std::memcpy(cell.bytes, &value, sizeof(value));
  } else {
    find_cast(DType::kFloat, dtype)(&value, cell.bytes, 1);
  }
  return cell;
}

int operands_of(const Instruction& instruction) {
  switch (instruction.kind) {
    case Instruction::Kind::kUnary:
    case Instruction::Kind::kLeakyRelu:
    case Instruction::Kind::kCast:
      return 1;
    case Instruction::Kind::kBinary:
      return 2;
    case Instruction::Kind::kSelect:
    case Instruction::Kind::kClip:
      return 3;
  }
  return 0;
}

}  // namespace

struct FusedElementwise::Impl {
  // Where a value is found while a tile runs.
  struct Place {
    enum class Where : uint8_t { kRegister, kFullInput, kScalar, kConstant } where;
    int index = 0;  // register, input, constant, or cell where a step reads it
    DType dtype = DType::kFloat;
  };

  struct Step {
    Instruction::Kind kind;
    DType dtype = DType::kFloat;
    UnaryKernel unary = nullptr;
    BinaryKernel binary = nullptr;
    CastKernel cast = nullptr;  // null: the bits as they are
    bool predicate = false;     // the kernel writes bool
    float alpha = 0.0f;
    Place a, b, c;
    int target = 0;  // register
  };

  // Rows, columns, bool and integer inputs are brought into a register at the start of a tile.
  struct Fill {
    int input = 0;
    int target = 0;
  };

  struct Store {
    Place value;
    DType dtype;
  };

  std::vector<FusedInput> inputs;
  std::vector<float> constants;
  std::vector<Cell> cells;  // constants in the dtypes of their readers
  std::vector<Fill> fills;
  std::vector<Step> steps;
  std::vector<Store> stores;

  Status compile(const FusedProgram& program);
  Status check(const FusedProgram& program) const;
  Status resolve(const Instruction& instruction, Step& step) const;
  Status read_operands(const Instruction& instruction, const std::vector<Place>& places,
                       Step& step);
  Status add_store(const FusedOutput& output, Place place);
  void run_step(const Step& step, std::span<const void* const> in, int64_t begin, int64_t count,
                float (*registers)[kTile]) const;
  Operand operand(Place place, std::span<const void* const> in, int64_t begin,
                  float (*registers)[kTile]) const;
  void run_tile(std::span<const void* const> in, std::span<void* const> out, int64_t columns,
                int64_t begin, int64_t count) const;
};

Status FusedElementwise::Impl::check(const FusedProgram& p) const {
  const size_t before = p.inputs.size() + p.constants.size();
  for (const FusedInput& input : p.inputs) {
    if (!is_fused_dtype(input.dtype) && !is_read_as_float(input.dtype)) {
      return invalid_argument("fused chain reads ", input.dtype,
                              ", expected a float, bool or integer");
    }
  }
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    const Instruction& instruction = p.instructions[i];
    if (!is_fused_dtype(instruction.dtype)) {
      return invalid_argument("fused chain computes in ", instruction.dtype);
    }
    const int operands[] = {instruction.a, instruction.b, instruction.c};
    for (int k = 0; k < operands_of(instruction); ++k) {
      if (operands[k] < 0 || static_cast<size_t>(operands[k]) >= before + i) {
        return invalid_argument("fused chain's instruction ", i, " reads value ", operands[k],
                                ", expected one made before it");
      }
    }
  }
  for (const FusedOutput& output : p.outputs) {
    if (output.value < 0 || static_cast<size_t>(output.value) >= before + p.instructions.size() ||
        (!is_fused_dtype(output.dtype) && output.dtype != DType::kBool)) {
      return invalid_argument("fused chain writes value ", output.value, " as ", output.dtype,
                              ", expected a value of the chain as a float or bool");
    }
  }
  return absl::OkStatus();
}

Status FusedElementwise::Impl::resolve(const Instruction& instruction, Step& step) const {
  const DType dtype = instruction.dtype;
  step.kind = instruction.kind;
  step.dtype = dtype;
  step.alpha = instruction.alpha;
  if (instruction.kind == Instruction::Kind::kUnary) {
    step.unary = find_unary(instruction.unary, dtype);
    if (step.unary == nullptr) return unimplemented("no kernel of ", dtype, " for a fused op");
    step.predicate = result_dtype(instruction.unary, dtype) == DType::kBool;
  } else if (instruction.kind == Instruction::Kind::kBinary) {
    step.binary = find_binary(instruction.binary, dtype);
    if (step.binary == nullptr) return unimplemented("no kernel of ", dtype, " for a fused op");
    step.predicate = result_dtype(instruction.binary, dtype) == DType::kBool;
  }
  return absl::OkStatus();
}

Status FusedElementwise::Impl::read_operands(const Instruction& instruction,
                                             const std::vector<Place>& places, Step& step) {
  const int operands[] = {instruction.a, instruction.b, instruction.c};
  Place* const fields[] = {&step.a, &step.b, &step.c};
  const bool is_cast = instruction.kind == Instruction::Kind::kCast;
  for (int k = 0; k < operands_of(instruction); ++k) {
    Place place = places[static_cast<size_t>(operands[k])];
    const bool condition = k == 0 && instruction.kind == Instruction::Kind::kSelect;
    const DType wanted = condition ? DType::kFloat : instruction.dtype;
    if (place.where == Place::Where::kConstant) {
      if (!is_cast) place.dtype = wanted;
      cells.push_back(cell_of(constants[static_cast<size_t>(place.index)], place.dtype));
      place.index = static_cast<int>(cells.size()) - 1;
    }
    if (is_cast && place.dtype != wanted) {
      step.cast = find_cast(place.dtype, wanted);
    } else if (place.dtype != wanted) {
      return invalid_argument("fused chain computes in ", wanted, " with a value of ", place.dtype);
    }
    *fields[k] = place;
  }
  return absl::OkStatus();
}

Status FusedElementwise::Impl::add_store(const FusedOutput& output, Place place) {
  if (place.where == Place::Where::kConstant) {
    place.dtype = output.dtype == DType::kBool ? DType::kFloat : output.dtype;
    cells.push_back(cell_of(constants[static_cast<size_t>(place.index)], place.dtype));
    place.index = static_cast<int>(cells.size()) - 1;
  }
  if (place.dtype != (output.dtype == DType::kBool ? DType::kFloat : output.dtype)) {
    return invalid_argument("fused chain writes a value of ", place.dtype, " as ", output.dtype);
  }
  stores.push_back({place, output.dtype});
  return absl::OkStatus();
}

Status FusedElementwise::Impl::compile(const FusedProgram& p) {
  TENON_RETURN_IF_ERROR(check(p));
  inputs = p.inputs;
  constants = p.constants;
  const size_t values = p.inputs.size() + p.constants.size() + p.instructions.size();
  std::vector<size_t> last_use(values, 0);  // instruction that reads a value last
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    const int operands[] = {p.instructions[i].a, p.instructions[i].b, p.instructions[i].c};
    for (int k = 0; k < operands_of(p.instructions[i]); ++k) {
      last_use[static_cast<size_t>(operands[k])] = i;
    }
  }
  for (const FusedOutput& output : p.outputs) {
    last_use[static_cast<size_t>(output.value)] = p.instructions.size();
  }

  std::vector<int> free_registers;
  for (int i = kMaxLive; i-- > 0;) free_registers.push_back(i);
  std::vector<Place> places(values);
  const auto allocate = [&](size_t value, DType dtype) {
    if (free_registers.empty()) return false;
    places[value] = {Place::Where::kRegister, free_registers.back(), dtype};
    free_registers.pop_back();
    return true;
  };
  const Status too_many =
      unimplemented("fused chain needs more than ", kMaxLive, " values at once");
  for (size_t i = 0; i < p.inputs.size(); ++i) {
    const DType dtype = p.inputs[i].dtype;
    const bool read_as_float = is_read_as_float(dtype);
    if (!read_as_float && p.inputs[i].kind == FusedKind::kFull) {
      places[i] = {Place::Where::kFullInput, static_cast<int>(i), dtype};
    } else if (!read_as_float && p.inputs[i].kind == FusedKind::kScalar) {
      places[i] = {Place::Where::kScalar, static_cast<int>(i), dtype};
    } else {
      if (!allocate(i, read_as_float ? DType::kFloat : dtype)) return too_many;
      fills.push_back({static_cast<int>(i), places[i].index});
    }
  }
  for (size_t i = 0; i < p.constants.size(); ++i) {
    places[p.inputs.size() + i] = {Place::Where::kConstant, static_cast<int>(i)};
  }
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    const Instruction& instruction = p.instructions[i];
    const size_t value = p.inputs.size() + p.constants.size() + i;
    Step step;
    TENON_RETURN_IF_ERROR(resolve(instruction, step));
    TENON_RETURN_IF_ERROR(read_operands(instruction, places, step));
    // The target is taken before the operands are let go, so no kernel sees partial overlap.
    if (!allocate(value, step.predicate ? DType::kFloat : step.dtype)) return too_many;
    step.target = places[value].index;
    steps.push_back(step);
    const int operands[] = {instruction.a, instruction.b, instruction.c};
    std::vector<int> released;
    for (int k = 0; k < operands_of(instruction); ++k) {
      const auto operand = static_cast<size_t>(operands[k]);
      if (places[operand].where == Place::Where::kRegister && last_use[operand] == i &&
          std::find(released.begin(), released.end(), places[operand].index) == released.end()) {
        released.push_back(places[operand].index);
      }
    }
    free_registers.insert(free_registers.end(), released.begin(), released.end());
  }
  for (const FusedOutput& output : p.outputs) {
    TENON_RETURN_IF_ERROR(add_store(output, places[static_cast<size_t>(output.value)]));
  }
  return absl::OkStatus();
}

namespace {

// Elements [begin, begin + count) of an input of any kind: truth and integers as floats, others as
// they are.
template <class T, class Stored>
void fill_values(FusedKind kind, const Stored* data, int64_t columns, int64_t begin, int64_t count,
                 T* tile) {
  const auto value = [&](int64_t at) { return static_cast<T>(data[at]); };
  if (kind == FusedKind::kScalar) {
    std::fill_n(tile, count, value(0));
    return;
  }
  if (kind == FusedKind::kFull) {
    for (int64_t i = 0; i < count; ++i) tile[i] = value(begin + i);
    return;
  }
  for (int64_t done = 0; done < count;) {
    const int64_t row = (begin + done) / columns;
    const int64_t column = (begin + done) % columns;
    const int64_t piece = std::min(columns - column, count - done);
    if (kind == FusedKind::kColumn) {
      std::fill_n(tile + done, piece, value(row));
    } else {
      for (int64_t i = 0; i < piece; ++i) tile[done + i] = value(column + i);
    }
    done += piece;
  }
}

void fill_tile(const FusedInput& input, const void* data, int64_t columns, int64_t begin,
               int64_t count, float* tile) {
  if (input.dtype == DType::kBool) {
    fill_values(input.kind, static_cast<const bool*>(data), columns, begin, count, tile);
  } else if (input.dtype == DType::kInt32) {
    fill_values(input.kind, static_cast<const int32_t*>(data), columns, begin, count, tile);
  } else if (input.dtype == DType::kInt64) {
    fill_values(input.kind, static_cast<const int64_t*>(data), columns, begin, count, tile);
  } else if (input.dtype == DType::kFloat) {
    fill_values(input.kind, static_cast<const float*>(data), columns, begin, count, tile);
  } else {
    fill_values(input.kind, static_cast<const uint16_t*>(data), columns, begin, count,
                reinterpret_cast<uint16_t*>(tile));
  }
}

// `count` values at `to`, whose bits are T's.
template <class T>
void copy_values(Operand from, void* to, int64_t count) {
  if (from.step == 0) {
    std::fill_n(static_cast<T*>(to), count, *static_cast<const T*>(from.data));
  } else {
    std::memmove(to, from.data, static_cast<size_t>(count) * sizeof(T));
  }
}
void copy_values(DType dtype, Operand from, void* to, int64_t count) {
  width_of(dtype) == 4 ? copy_values<uint32_t>(from, to, count)
                       : copy_values<uint16_t>(from, to, count);
}

// clip as TensorFlow's: min(max(x, low), high).
void clip_tile(DType dtype, Operand x, Operand low, Operand high, void* y, int64_t count) {
  find_binary(BinaryOp::kMaximum, dtype)(x.data, x.step, low.data, low.step, y, count);
  find_binary(BinaryOp::kMinimum, dtype)(y, 1, high.data, high.step, y, count);
}

template <class T>
void select_tile(Operand a, Operand b, Operand c, void* to, int64_t count) {
  const auto* condition = static_cast<const float*>(a.data);
  const auto *left = static_cast<const T*>(b.data), *right = static_cast<const T*>(c.data);
  auto* y = static_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i) {
    y[i] = condition[i * a.step] != 0.0f ? left[i * b.step] : right[i * c.step];
  }
}

template <class T>
void leaky_tile(float alpha, const void* from, void* to, int64_t count) {
  const auto* x = static_cast<const T*>(from);
  auto* y = static_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(x[i]);
    y[i] = static_cast<T>(value > 0 ? value : alpha * value);
  }
}
void leaky_tile(DType dtype, float alpha, const void* x, void* y, int64_t count) {
  if (dtype == DType::kFloat) return leaky_tile<float>(alpha, x, y, count);
  dtype == DType::kHalf ? leaky_tile<float16>(alpha, x, y, count)
                        : leaky_tile<bfloat16>(alpha, x, y, count);
}

}  // namespace

Operand FusedElementwise::Impl::operand(Place place, std::span<const void* const> in, int64_t begin,
                                        float (*registers)[kTile]) const {
  const auto index = static_cast<size_t>(place.index);
  switch (place.where) {
    case Place::Where::kRegister:
      return {registers[index], 1};
    case Place::Where::kFullInput:
      return {
          static_cast<const char*>(in[index]) + begin * static_cast<int64_t>(width_of(place.dtype)),
          1};
    case Place::Where::kScalar:
      return {in[index], 0};
    case Place::Where::kConstant:
      return {cells[index].bytes, 0};
  }
  return {nullptr, 0};
}

void FusedElementwise::Impl::run_step(const Step& step, std::span<const void* const> in,
                                      int64_t begin, int64_t count,
                                      float (*registers)[kTile]) const {
  float* const y = registers[step.target];
  bool truth[kTile];
  void* const written = step.predicate ? static_cast<void*>(truth) : static_cast<void*>(y);
  const Operand a = operand(step.a, in, begin, registers);
  // Kernels of one argument read `count` elements: a single value is spread first.
  alignas(64) float room[kTile];
  const auto spread = [&]() -> const void* {
    if (a.step == 1) return a.data;
    copy_values(step.a.dtype, a, room, count);
    return room;
  };
  const auto at = [&](Place place) { return operand(place, in, begin, registers); };
  switch (step.kind) {
    case Instruction::Kind::kUnary:
      step.unary(spread(), written, count);
      break;
    case Instruction::Kind::kBinary: {
      const Operand b = at(step.b);
      step.binary(a.data, a.step, b.data, b.step, written, count);
      break;
    }
    case Instruction::Kind::kSelect:
      width_of(step.dtype) == 4 ? select_tile<uint32_t>(a, at(step.b), at(step.c), y, count)
                                : select_tile<uint16_t>(a, at(step.b), at(step.c), y, count);
      break;
    case Instruction::Kind::kLeakyRelu:
      leaky_tile(step.dtype, step.alpha, spread(), y, count);
      break;
    case Instruction::Kind::kClip:
      clip_tile(step.dtype, a, at(step.b), at(step.c), y, count);
      break;
    case Instruction::Kind::kCast:
      step.cast ? step.cast(spread(), y, count) : copy_values(step.dtype, a, y, count);
      break;
  }
  if (step.predicate) std::transform(truth, truth + count, y, [](bool t) { return t ? 1.f : 0.f; });
}

void FusedElementwise::Impl::run_tile(std::span<const void* const> in, std::span<void* const> out,
                                      int64_t columns, int64_t begin, int64_t count) const {
  alignas(64) float registers[kMaxLive][kTile];
  for (const Fill& fill : fills) {
    const auto index = static_cast<size_t>(fill.input);
    fill_tile(inputs[index], in[index], columns, begin, count, registers[fill.target]);
  }
  for (const Step& step : steps) run_step(step, in, begin, count, registers);
  for (size_t i = 0; i < stores.size(); ++i) {
    const Operand value = operand(stores[i].value, in, begin, registers);
    if (stores[i].dtype == DType::kBool) {
      bool* to = static_cast<bool*>(out[i]) + begin;
      const auto* from = static_cast<const float*>(value.data);
      for (int64_t j = 0; j < count; ++j) to[j] = from[j * value.step] != 0.0f;
    } else {
      char* to =
          static_cast<char*>(out[i]) + begin * static_cast<int64_t>(width_of(stores[i].dtype));
      copy_values(stores[i].dtype, value, to, count);
    }
  }
}

FusedElementwise::FusedElementwise(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FusedElementwise::FusedElementwise(FusedElementwise&&) noexcept = default;
FusedElementwise& FusedElementwise::operator=(FusedElementwise&&) noexcept = default;
FusedElementwise::~FusedElementwise() = default;

StatusOr<FusedElementwise> FusedElementwise::compile(const FusedProgram& program) {
  auto impl = std::make_unique<Impl>();
  TENON_RETURN_IF_ERROR(impl->compile(program));
  return FusedElementwise(std::move(impl));
}

void FusedElementwise::run(std::span<const void* const> inputs, std::span<void* const> outputs,
                           int64_t rows, int64_t columns) const {
  parallel_for(rows * columns, grain_of(), [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += kTile) {
      impl_->run_tile(inputs, outputs, columns, at, std::min(kTile, end - at));
    }
  });
}

}  // namespace tenon::kernels
