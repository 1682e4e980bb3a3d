// Float32 convolutions: Convolution and its gradients beside oneDNN's primitives, in turn, one JSON
// line a shape. oneDNN chooses the filter's layout; forward ours is packed. `bf16` is forward in
// bfloat16, the input converted by both while they run.
//
//   build/conv_bench [threads] [forward | bf16 | input | filter]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <dnnl.hpp>
#include <string>
#include <vector>

#include "tenon/base/parallel.h"
#include "tenon/base/strings.h"
#include "tenon/base/thread_pool.h"
#include "tenon/kernels/conv.h"

extern "C" void omp_set_num_threads(int);

namespace tenon::kernels {
namespace {

constexpr double kSecondsOfRound = 0.05;
constexpr int kRounds = 5;

struct Shape2d {
  const char* what;
  int64_t batch, size, in, out, kernel, stride;
  int64_t groups = 1, dilation = 1;
};

constexpr Shape2d kShapes[] = {
    {"3x3 28x28 1-32 b64", 64, 28, 1, 32, 3, 1},
    {"7x7 s2 224x224 3-64", 1, 224, 3, 64, 7, 2},
    {"3x3 s2 224x224 3-32", 1, 224, 3, 32, 3, 2},
    {"3x3 224x224 3-64", 1, 224, 3, 64, 3, 1},
    {"1x1 56x56 64-256", 1, 56, 64, 256, 1, 1},
    {"1x1 56x56 256-64", 1, 56, 256, 64, 1, 1},
    {"1x1 112x112 16-96", 1, 112, 16, 96, 1, 1},
    {"1x1 s2 56x56 256-512", 1, 56, 256, 512, 1, 2},
    {"1x1 14x14 1024-256", 1, 14, 1024, 256, 1, 1},
    {"1x1 7x7 512-2048", 1, 7, 512, 2048, 1, 1},
    {"1x1 7x7 512-2048 b8", 8, 7, 512, 2048, 1, 1},
    {"1x1 14x14 576-96", 1, 14, 576, 96, 1, 1},
    {"3x3 56x56 64-64", 1, 56, 64, 64, 3, 1},
    {"3x3 28x28 128-32 (densenet)", 1, 28, 128, 32, 3, 1},
    {"3x3 28x28 256-256", 1, 28, 256, 256, 3, 1},
    {"3x3 14x14 256-256", 1, 14, 256, 256, 3, 1},
    {"3x3 7x7 512-512", 1, 7, 512, 512, 3, 1},
    {"3x3 7x7 512-512 b8", 8, 7, 512, 512, 3, 1},
    {"3x3 s2 56x56 128-128", 1, 56, 128, 128, 3, 2},
    {"5x5 27x27 96-256", 1, 27, 96, 256, 5, 1},
    {"7x7 17x17 128-128", 1, 17, 128, 128, 7, 1},
    {"3x3 d2 28x28 256-256", 1, 28, 256, 256, 3, 1, 1, 2},
    {"3x3 g32 28x28 256-256", 1, 28, 256, 256, 3, 1, 32},
    {"3x3 g4 14x14 256-256", 1, 14, 256, 256, 3, 1, 4},
    {"3x3 depthwise 112x112 32", 1, 112, 32, 32, 3, 1, 32},
    {"3x3 depthwise s2 112x112 96", 1, 112, 96, 96, 3, 2, 96},
    {"3x3 depthwise 14x14 576", 1, 14, 576, 576, 3, 1, 576},
    {"5x5 depthwise 14x14 672", 1, 14, 672, 672, 5, 1, 672},
    {"3x3 depthwise 7x7 960 b8", 8, 7, 960, 960, 3, 1, 960},
};

ConvSpec spec_of(const Shape2d& s) {
  ConvSpec spec;
  spec.batch = s.batch;
  spec.in_channels = s.in;
  spec.out_channels = s.out;
  spec.groups = s.groups;
  for (size_t i = 0; i < 2; ++i) {
    const Window w = window_of(s.size, s.kernel, s.stride, s.dilation, Padding::kSame).value();
    spec.input[i] = s.size;
    spec.output[i] = w.output;
    spec.kernel[i] = s.kernel;
    spec.stride[i] = s.stride;
    spec.dilation[i] = s.dilation;
    spec.pad_before[i] = w.pad_before;
    spec.pad_after[i] = w.pad_after;
  }
  return spec;
}

struct Aligned {
  explicit Aligned(size_t bytes) : memory(std::aligned_alloc(64, (bytes + 127) / 64 * 64)) {}
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  ~Aligned() { std::free(memory); }
  float* floats() const { return static_cast<float*>(memory); }
  void* memory;
};

struct Operands {
  explicit Operands(const ConvSpec& s)
      : x_values(s.batch * s.input[0] * s.input[1] * s.in_channels),
        w_values(s.kernel[0] * s.kernel[1] * s.in_channels / s.groups * s.out_channels),
        y_values(s.batch * s.output[0] * s.output[1] * s.out_channels),
        x(bytes(x_values)),
        w(bytes(w_values)),
        y(bytes(y_values)) {
    for (auto [memory, count] : {std::pair{&x, x_values}, {&w, w_values}, {&y, y_values}}) {
      for (int64_t i = 0; i < count; ++i) {
        memory->floats()[i] = static_cast<float>(i * 7 % 23) / 23.0f - 0.5f;
      }
    }
  }
  static size_t bytes(int64_t values) { return static_cast<size_t>(values) * sizeof(float); }
  int64_t x_values, w_values, y_values;
  Aligned x, w, y;
};

enum class Direction { kForward, kBfloat16, kInput, kFilter };

class Ours {
 public:
  Ours(const ConvSpec& s, Direction direction, const Operands& o) : operands_(o), spec_(s) {
    if (direction == Direction::kForward || direction == Direction::kBfloat16) {
      if (direction == Direction::kBfloat16) spec_.precision = Precision::kBfloat16;
      spec_.packed = conv_packed_layout(spec_);
      if (!spec_.packed.is_plain()) {
        packed_ = std::make_unique<Aligned>(spec_.packed.bytes());
        pack_conv_filter(spec_.packed, spec_, o.w.floats(), packed_->memory).IgnoreError();
      }
      forward_ = std::make_unique<Convolution>(Convolution::make(spec_).value());
      take(*forward_);
    } else if (direction == Direction::kInput) {
      input_ =
          std::make_unique<ConvolutionInputGradient>(ConvolutionInputGradient::make(s).value());
      take(*input_);
    } else {
      filter_ =
          std::make_unique<ConvolutionFilterGradient>(ConvolutionFilterGradient::make(s).value());
      take(*filter_);
    }
  }
  void run() {
    const Operands& o = operands_;
    void* scratch = scratch_->memory;
    if (forward_) {
      const void* filter = packed_ ? packed_->memory : o.w.memory;
      forward_->run({.input = o.x.floats(), .filter = filter, .output = o.y.floats()}, scratch);
    } else if (input_) {
      input_->run(o.y.floats(), o.w.floats(), o.x.floats(), scratch);
    } else {
      filter_->run(o.x.floats(), o.y.floats(), o.w.floats(), scratch);
    }
  }
  const std::string& name() const { return name_; }

 private:
  template <class Kernel>
  void take(const Kernel& kernel) {
    name_ = kernel.name();
    scratch_ = std::make_unique<Aligned>(kernel.scratch_bytes());
  }
  const Operands& operands_;
  ConvSpec spec_;
  std::string name_;
  std::unique_ptr<Aligned> packed_, scratch_;
  std::unique_ptr<Convolution> forward_;
  std::unique_ptr<ConvolutionInputGradient> input_;
  std::unique_ptr<ConvolutionFilterGradient> filter_;
};

class OneDnn {
 public:
  OneDnn(const ConvSpec& s, Direction direction, const Operands& o)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    using Tag = memory::format_tag;
    const auto f32 = memory::data_type::f32;
    const bool converts = direction == Direction::kBfloat16;
    const auto type = converts ? memory::data_type::bf16 : f32;
    const memory::dims x_dims{s.batch, s.in_channels, s.input[0], s.input[1]};
    const memory::desc x(x_dims, type, Tag::nhwc);
    const memory::desc y({s.batch, s.out_channels, s.output[0], s.output[1]}, f32, Tag::nhwc);
    memory::dims filter{s.out_channels / s.groups, s.in_channels / s.groups, s.kernel[0],
                        s.kernel[1]};
    if (s.groups > 1) filter.insert(filter.begin(), s.groups);
    const memory::desc w(filter, type, Tag::any);
    const memory::dims stride{s.stride[0], s.stride[1]};
    const memory::dims dilation{s.dilation[0] - 1, s.dilation[1] - 1};
    const memory::dims before{s.pad_before[0], s.pad_before[1]};
    const memory::dims after{s.pad_after[0], s.pad_after[1]};
    const auto direct = dnnl::algorithm::convolution_direct;
    const dnnl::convolution_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, direct, x, w, y, stride, dilation, before, after},
        engine_);
    const memory from_x({x_dims, f32, Tag::nhwc}, engine_, o.x.memory);
    const memory from_y(y, engine_, o.y.memory);
    if (direction == Direction::kForward || converts) {
      name_ = forward.impl_info_str();
      primitive_ = dnnl::convolution_forward(forward);
      if (converts) {
        input_ = {from_x, memory(x, engine_)};
        convert_ = dnnl::reorder(input_[0], input_[1]);
      }
      arguments_ = {{DNNL_ARG_SRC, converts ? input_[1] : from_x},
                    {DNNL_ARG_WEIGHTS, zeros(forward.weights_desc())},
                    {DNNL_ARG_DST, from_y}};
    } else if (direction == Direction::kInput) {
      const dnnl::convolution_backward_data::primitive_desc chosen(
          {direct, x, w, y, stride, dilation, before, after}, engine_, forward);
      name_ = chosen.impl_info_str();
      primitive_ = dnnl::convolution_backward_data(chosen);
      arguments_ = {{DNNL_ARG_DIFF_DST, from_y},
                    {DNNL_ARG_WEIGHTS, zeros(chosen.weights_desc())},
                    {DNNL_ARG_DIFF_SRC, from_x}};
    } else {
      const dnnl::convolution_backward_weights::primitive_desc chosen(
          {direct, x, w, y, stride, dilation, before, after}, engine_, forward);
      name_ = chosen.impl_info_str();
      primitive_ = dnnl::convolution_backward_weights(chosen);
      arguments_ = {{DNNL_ARG_SRC, from_x},
                    {DNNL_ARG_DIFF_DST, from_y},
                    {DNNL_ARG_DIFF_WEIGHTS, zeros(chosen.diff_weights_desc())}};
    }
  }
  void run() {
    if (!input_.empty()) convert_.execute(stream_, input_[0], input_[1]);
    primitive_.execute(stream_, arguments_);
  }
  const std::string& name() const { return name_; }

 private:
  dnnl::memory zeros(const dnnl::memory::desc& desc) {
    dnnl::memory made(desc, engine_);
    std::fill_n(static_cast<char*>(made.get_data_handle()), desc.get_size(), '\0');
    return made;
  }
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::vector<dnnl::memory> input_;  // as it is given and in bfloat16; empty: not converted
  dnnl::reorder convert_;
  std::string name_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

template <class Run>
void measure(Run& side, std::vector<double>& microseconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(kSecondsOfRound);
  while (Clock::now() < end) {
    const auto start = Clock::now();
    side.run();
    microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
}

// What a tenth of the runs stay below: other programs lengthen the others.
double tenth(std::vector<double>& values) {
  const auto at = values.begin() + static_cast<int64_t>(values.size() / 10);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void compare(const Shape2d& shape, Direction direction, const std::string& named, int threads) {
  const ConvSpec spec = spec_of(shape);
  const Operands operands(spec);
  Ours ours(spec, direction, operands);
  OneDnn theirs(spec, direction, operands);
  std::vector<double> our_times, their_times;
  for (int round = 0; round < kRounds; ++round) {
    measure(ours, our_times);
    measure(theirs, their_times);
  }
  const double us = tenth(our_times), their_us = tenth(their_times);
  const int64_t products = operands.y_values * operands.w_values / spec.out_channels;
  std::printf(
      "{\"figure\": \"convolution %s %s, %d threads, us of the fastest tenth\", \"tenon\": %.1f, "
      "\"onednn\": "
      "%.1f, \"times faster\": %.2f, \"GFLOP/s\": %.0f, \"by\": \"%s\", \"onednn by\": \"%s\"}\n",
      shape.what, named.c_str(), threads, us, their_us, their_us / us,
      2e-3 * static_cast<double>(products) / us, ours.name().c_str(), theirs.name().c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace tenon::kernels

int main(int argc, char** argv) {
  using tenon::kernels::Direction;
  int64_t threads = 0;
  if (argc > 1 && !tenon::parse_number(argv[1], threads)) return 2;
  const std::string only = argc > 2 ? argv[2] : "";
  tenon::ThreadPool::configure(static_cast<int>(threads));
  const int team = tenon::ThreadPool::configured_threads();
  tenon::set_team_size(team);
  omp_set_num_threads(team);
  const std::pair<Direction, std::string> directions[] = {{Direction::kForward, "forward"},
                                                          {Direction::kBfloat16, "bf16"},
                                                          {Direction::kInput, "input"},
                                                          {Direction::kFilter, "filter"}};
  for (const auto& [direction, name] : directions) {
    if (!only.empty() && only != name) continue;
    for (const auto& shape : tenon::kernels::kShapes) {
      tenon::kernels::compare(shape, direction, name, team);
    }
  }
}
