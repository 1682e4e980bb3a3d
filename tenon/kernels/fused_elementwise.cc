#include "tenon/kernels/fused_elementwise.h"

#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"

namespace tenon::kernels {
namespace {

// Elements of one tile: kMaxLive of them are 64 KiB, and a usual chain's four to eight fit L1.
constexpr int64_t kTile = 512;

using Instruction = FusedInstruction;

struct Operand {
  const float* data;
  int64_t step;
};

int operands_of(const Instruction& instruction) {
  switch (instruction.kind) {
    case Instruction::Kind::kUnary:
    case Instruction::Kind::kLeakyRelu:
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
    int index = 0;  // register, input or constant
  };

  struct Step {
    Instruction::Kind kind;
    UnaryKernel unary = nullptr;
    BinaryKernel binary = nullptr;
    bool predicate = false;  // the kernel writes bool
    float alpha = 0.0f;
    Place a, b, c;
    int target = 0;  // register
  };

  // Rows, columns and bool inputs are brought into a register at the start of a tile.
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
  std::vector<Fill> fills;
  std::vector<Step> steps;
  std::vector<Store> stores;

  Status compile(const FusedProgram& program);
  Status check(const FusedProgram& program) const;
  Status resolve(const Instruction& instruction, Step& step) const;
  void run_tile(std::span<const void* const> in, std::span<void* const> out, int64_t columns,
                int64_t begin, int64_t count) const;
};

Status FusedElementwise::Impl::check(const FusedProgram& p) const {
  const size_t before = p.inputs.size() + p.constants.size();
  for (const FusedInput& input : p.inputs) {
    if (input.dtype != DType::kFloat && input.dtype != DType::kBool) {
      return invalid_argument("fused chain reads ", input.dtype, ", expected float or bool");
    }
  }
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    const Instruction& instruction = p.instructions[i];
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
        (output.dtype != DType::kFloat && output.dtype != DType::kBool)) {
      return invalid_argument("fused chain writes value ", output.value, " as ", output.dtype,
                              ", expected a value of the chain as float or bool");
    }
  }
  return absl::OkStatus();
}

Status FusedElementwise::Impl::resolve(const Instruction& instruction, Step& step) const {
  step.kind = instruction.kind;
  step.alpha = instruction.alpha;
  if (instruction.kind == Instruction::Kind::kUnary) {
    step.unary = find_unary(instruction.unary, DType::kFloat);
    if (step.unary == nullptr) return unimplemented("no float32 kernel for a fused operation");
    step.predicate = result_dtype(instruction.unary, DType::kFloat) == DType::kBool;
  } else if (instruction.kind == Instruction::Kind::kBinary) {
    step.binary = find_binary(instruction.binary, DType::kFloat);
    if (step.binary == nullptr) return unimplemented("no float32 kernel for a fused operation");
    step.predicate = result_dtype(instruction.binary, DType::kFloat) == DType::kBool;
  }
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
  const auto allocate = [&](size_t value) {
    if (free_registers.empty()) return false;
    places[value] = {Place::Where::kRegister, free_registers.back()};
    free_registers.pop_back();
    return true;
  };
  const Status too_many =
      unimplemented("fused chain needs more than ", kMaxLive, " values at once");
  for (size_t i = 0; i < p.inputs.size(); ++i) {
    const bool is_float = p.inputs[i].dtype == DType::kFloat;
    if (is_float && p.inputs[i].kind == FusedKind::kFull) {
      places[i] = {Place::Where::kFullInput, static_cast<int>(i)};
    } else if (is_float && p.inputs[i].kind == FusedKind::kScalar) {
      places[i] = {Place::Where::kScalar, static_cast<int>(i)};
    } else {
      if (!allocate(i)) return too_many;
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
    // The target is taken before the operands are let go, so no kernel sees partial overlap.
    if (!allocate(value)) return too_many;
    step.target = places[value].index;
    const int operands[] = {instruction.a, instruction.b, instruction.c};
    Place* const fields[] = {&step.a, &step.b, &step.c};
    for (int k = 0; k < operands_of(instruction); ++k) {
      *fields[k] = places[static_cast<size_t>(operands[k])];
    }
    steps.push_back(step);
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
    stores.push_back({places[static_cast<size_t>(output.value)], output.dtype});
  }
  return absl::OkStatus();
}

namespace {

// Elements [begin, begin + count) of an input of any kind as floats.
void fill_tile(const FusedInput& input, const void* data, int64_t columns, int64_t begin,
               int64_t count, float* tile) {
  const auto value = [&](int64_t at) {
    return input.dtype == DType::kBool ? (static_cast<const bool*>(data)[at] ? 1.0f : 0.0f)
                                       : static_cast<const float*>(data)[at];
  };
  if (input.kind == FusedKind::kScalar) {
    std::fill_n(tile, count, value(0));
    return;
  }
  if (input.kind == FusedKind::kFull) {
    for (int64_t i = 0; i < count; ++i) tile[i] = value(begin + i);
    return;
  }
  for (int64_t done = 0; done < count;) {
    const int64_t row = (begin + done) / columns;
    const int64_t column = (begin + done) % columns;
    const int64_t piece = std::min(columns - column, count - done);
    if (input.kind == FusedKind::kColumn) {
      std::fill_n(tile + done, piece, value(row));
    } else if (input.dtype == DType::kFloat) {
      std::memcpy(tile + done, static_cast<const float*>(data) + column,
                  static_cast<size_t>(piece) * sizeof(float));
    } else {
      for (int64_t i = 0; i < piece; ++i) tile[done + i] = value(column + i);
    }
    done += piece;
  }
}

// clip as TensorFlow's: min(max(x, low), high).
void clip_tile(Operand x, Operand low, Operand high, float* y, int64_t count) {
  static const BinaryKernel max = find_binary(BinaryOp::kMaximum, DType::kFloat);
  static const BinaryKernel min = find_binary(BinaryOp::kMinimum, DType::kFloat);
  max(x.data, x.step, low.data, low.step, y, count);
  min(y, 1, high.data, high.step, y, count);
}

}  // namespace

void FusedElementwise::Impl::run_tile(std::span<const void* const> in, std::span<void* const> out,
                                      int64_t columns, int64_t begin, int64_t count) const {
  alignas(64) float registers[kMaxLive][kTile];
  const auto operand = [&](Place place) -> Operand {
    const auto index = static_cast<size_t>(place.index);
    switch (place.where) {
      case Place::Where::kRegister:
        return {registers[index], 1};
      case Place::Where::kFullInput:
        return {static_cast<const float*>(in[index]) + begin, 1};
      case Place::Where::kScalar:
        return {static_cast<const float*>(in[index]), 0};
      case Place::Where::kConstant:
        return {constants.data() + index, 0};
    }
    return {nullptr, 0};
  };
  // Kernels of one argument read `count` elements: a single value is spread first.
  const auto spread = [&](Place place, float* room) -> const float* {
    const Operand found = operand(place);
    if (found.step == 1) return found.data;
    std::fill_n(room, count, *found.data);
    return room;
  };
  for (const Fill& fill : fills) {
    const auto index = static_cast<size_t>(fill.input);
    fill_tile(inputs[index], in[index], columns, begin, count, registers[fill.target]);
  }
  bool truth[kTile];
  for (const Step& step : steps) {
    float* y = registers[step.target];
    void* const written = step.predicate ? static_cast<void*>(truth) : static_cast<void*>(y);
    switch (step.kind) {
      case Instruction::Kind::kUnary:
        step.unary(spread(step.a, y), written, count);
        break;
      case Instruction::Kind::kBinary: {
        const Operand a = operand(step.a);
        const Operand b = operand(step.b);
        step.binary(a.data, a.step, b.data, b.step, written, count);
        break;
      }
      case Instruction::Kind::kSelect: {
        const Operand a = operand(step.a);
        const Operand b = operand(step.b);
        const Operand c = operand(step.c);
        for (int64_t i = 0; i < count; ++i) {
          y[i] = a.data[i * a.step] != 0.0f ? b.data[i * b.step] : c.data[i * c.step];
        }
        break;
      }
      case Instruction::Kind::kLeakyRelu: {
        const float* x = spread(step.a, y);
        for (int64_t i = 0; i < count; ++i) y[i] = x[i] > 0 ? x[i] : step.alpha * x[i];
        break;
      }
      case Instruction::Kind::kClip:
        clip_tile(operand(step.a), operand(step.b), operand(step.c), y, count);
        break;
    }
    if (step.predicate)
      std::transform(truth, truth + count, y, [](bool t) { return t ? 1.f : 0.f; });
  }
  for (size_t i = 0; i < stores.size(); ++i) {
    const Operand value = operand(stores[i].value);
    if (stores[i].dtype == DType::kBool) {
      bool* to = static_cast<bool*>(out[i]) + begin;
      for (int64_t j = 0; j < count; ++j) to[j] = value.data[j * value.step] != 0.0f;
    } else {
      float* to = static_cast<float*>(out[i]) + begin;
      if (value.step == 0) {
        std::fill_n(to, count, *value.data);
      } else {
        std::memmove(to, value.data, static_cast<size_t>(count) * sizeof(float));
      }
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
