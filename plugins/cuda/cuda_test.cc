// What of the CUDA plug-in needs no GPU: its memory's bookkeeping, the CUDA source of element-wise
// programs, which NVRTC compiles for the chips it knows, and the sentence where there is no driver.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

#include "plugins/cuda/driver.h"
#include "plugins/cuda/elementwise.h"
#include "plugins/cuda/jit.h"
#include "plugins/cuda/memory_pool.h"
#include "plugins/cuda/operations.h"

struct TenonStatus {
  int32_t code;
  std::string message;
};

namespace plugin::cuda {
namespace {

// As much of Tenon as these parts ask for.
const TenonHost kTestHost = [] {
  TenonHost test_host{};
  test_host.make_status = [](int32_t code, TenonText message) {
    return new TenonStatus{code, {message.data, message.size}};
  };
  test_host.free_status = [](TenonStatus* status) { delete status; };
  return test_host;
}();

class CudaPlugin : public testing::Test {
 protected:
  void SetUp() override { host = &kTestHost; }
  static std::string text_of(TenonStatus* status) {
    if (!status) return "";
    const std::unique_ptr<TenonStatus> owned(status);
    return owned->message;
  }
};

TEST_F(CudaPlugin, MemoryIsNeverInTwoHandsAndComesBackWhole) {
  constexpr size_t kSegment = size_t{1} << 20;
  MemoryPool pool;
  std::vector<uintptr_t> bases = {0x100000000, 0x100000000 + kSegment, 0x900000000};
  for (uintptr_t base : bases) pool.add_segment(reinterpret_cast<void*>(base), kSegment);
  std::mt19937 random(7);
  std::map<uintptr_t, size_t> held;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0 || held.empty()) {
      const size_t bytes = random() % 60000;
      const auto address = reinterpret_cast<uintptr_t>(pool.take(bytes));
      if (address == 0) continue;
      EXPECT_EQ(address % MemoryPool::kAlignment, 0u);
      const auto next = held.lower_bound(address);
      if (next != held.end()) {
        EXPECT_LE(address + bytes, next->first);
      }
      if (next != held.begin()) {
        EXPECT_LE(std::prev(next)->first + std::prev(next)->second, address);
      }
      // Within one segment, also where two lie side by side.
      EXPECT_EQ((address - bases[0]) / kSegment, (address + bytes - bases[0]) / kSegment);
      held[address] = std::max<size_t>(bytes, 1);
    } else {
      auto given = held.lower_bound(held.begin()->first + random() % kSegment);
      if (given == held.end()) given = held.begin();
      pool.give_back(reinterpret_cast<void*>(given->first));
      held.erase(given);
    }
  }
  for (const auto& [address, bytes] : held) pool.give_back(reinterpret_cast<void*>(address));
  EXPECT_EQ(pool.used_bytes(), 0u);
  EXPECT_EQ(pool.largest_free(), kSegment);
  EXPECT_EQ(pool.remove_idle_segments().size(), bases.size());
  EXPECT_EQ(pool.reserved_bytes(), 0u);
}

ElementwiseProgram program_of(const Operation& operation, int32_t dtype) {
  ElementwiseProgram p;
  p.dims = {5, 7, 3};
  // As it lies, spread from a row, spread from a column.
  const std::vector<int64_t> shapes[] = {{5, 7, 3}, {3}, {7, 1}};
  for (int i = 0; i < operation.operands; ++i) p.inputs.push_back({dtype, shapes[i]});
  p.outputs = {operation.gives_truth ? kBool : dtype};
  p.compute = dtype;
  p.program.instructions = {{operation.op, {0, 1, 2}, 0.5f}};
  p.program.outputs = {operation.operands};
  return p;
}

TEST_F(CudaPlugin, EveryOperationCompilesForItsDtypes) {
  if (TenonStatus* missing = open_libraries()) GTEST_SKIP() << text_of(missing);
  // All functions of a dtype in one source: the compiler reads its headers once.
  for (int32_t dtype : {kFloat, kInt32, kBool}) {
    std::string source;
    int kernels = 0;
    for (const Operation& operation : operations()) {
      if (!operation.takes(dtype)) continue;
      ElementwiseSource one;
      ASSERT_EQ(text_of(write_elementwise(program_of(operation, dtype), one)), "") << operation.op;
      const std::string own = "namespace k" + std::to_string(kernels) + " {\n";
      const size_t prelude = one.text.find("typedef ", one.text.find("#undef U"));
      if (source.empty()) source = one.text.substr(0, prelude);
      std::string body = one.text.substr(prelude);
      body.replace(body.find("extern \"C\" "), 11, "");
      source += own + body + "}\n";
      ++kernels;
    }
    std::string image;
    EXPECT_EQ(text_of(compile_source(source, "sm_90", image)), "") << dtype;
    EXPECT_GT(image.size(), 1000u);
    EXPECT_GT(kernels, 3);
  }
}

TEST_F(CudaPlugin, AFusedProgramIsOneKernelOfItsOperations) {
  if (TenonStatus* missing = open_libraries()) GTEST_SKIP() << text_of(missing);
  ElementwiseProgram p;
  p.dims = {64, 10};
  p.inputs = {{kFloat, {64, 1}}, {kBool, {64, 10}}, {kHalf, {10}}};
  p.outputs = {kFloat, kBool};
  p.program.constants = {0.1f};
  p.program.instructions = {
      {"Mul", {0, 3, -1}, 0}, {"Select", {1, 4, 2}, 0}, {"Greater", {5, 3, -1}, 0}};
  p.program.outputs = {5, 6};
  ElementwiseSource source;
  ASSERT_EQ(text_of(write_elementwise(p, source)), "");
  EXPECT_EQ(source.count, 640);
  std::string image;
  EXPECT_EQ(text_of(compile_source(source.text, "sm_80", image)), "");
  EXPECT_NE(image.find("elementwise"), image.npos);
  p.program.instructions[0].op = "NoSuchOp";
  EXPECT_NE(text_of(write_elementwise(p, source)), "");
}

TEST_F(CudaPlugin, AProgramRoundsWhereItSaysSo) {
  if (TenonStatus* missing = open_libraries()) GTEST_SKIP() << text_of(missing);
  ElementwiseProgram p;
  p.dims = {1024, 1024};
  p.inputs = {{kBfloat16, {1024, 1024}}, {kFloat, {1024, 1}}, {kBfloat16, {1024}}};
  p.outputs = {kBfloat16, kHalf};
  p.program.instructions = {{"AddV2", {0, 2, -1}, 0, kBfloat16},
                            {"Cast", {3, -1, -1}, 0, kFloat},
                            {"Mul", {4, 1, -1}, 0, kFloat},
                            {"Cast", {5, -1, -1}, 0, kHalf}};
  p.program.outputs = {3, 6};
  ElementwiseSource source;
  ASSERT_EQ(text_of(write_elementwise(p, source)), "");
  EXPECT_EQ(source.per_thread, 8);
  const auto has = [&](const char* text) { return source.text.find(text) != std::string::npos; };
  EXPECT_TRUE(has("v3 = from_bfloat16(to_bfloat16(op_AddV2<C>(v0, v2)))"));
  EXPECT_TRUE(has("v5 = op_Mul<C>(v4, v1)"));
  EXPECT_TRUE(has("v6 = from_half(to_half((v5)))"));
  std::string image;
  for (const char* architecture : {"sm_80", "sm_90"}) {
    EXPECT_EQ(text_of(compile_source(source.text, architecture, image)), "");
  }
}

TEST_F(CudaPlugin, AxesAreJoinedWhereAllInputsWalkOn) {
  ElementwiseProgram p;
  p.dims = {4, 5, 6};
  p.inputs = {{kFloat, {4, 5, 6}}, {kFloat, {5, 6}}};
  p.outputs = {kFloat};
  p.program.instructions = {{"AddV2", {0, 1, -1}, 0}};
  p.program.outputs = {2};
  ElementwiseSource source;
  ASSERT_EQ(text_of(write_elementwise(p, source)), "");
  // count, dims [4, 30], strides of both.
  EXPECT_EQ(source.parameters, (std::vector<int64_t>{120, 4, 30, 30, 1, 0, 1}));
  p.inputs[1].dims = {4, 5};
  EXPECT_NE(text_of(write_elementwise(p, source)), "");
}

TEST_F(CudaPlugin, OneSentenceSaysWhatIsMissing) {
  int devices = 0;
  TenonStatus* status = check_driver(&devices);
  if (!status) GTEST_SKIP() << "there is a GPU";
  const std::unique_ptr<TenonStatus> owned(status);
  EXPECT_EQ(owned->code, kFailedPrecondition);
  EXPECT_NE(owned->message.find("NVIDIA"), std::string::npos) << owned->message;
  EXPECT_EQ(owned->message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace plugin::cuda
