#include "tenon/lite/writer/level_rules.h"

#include "tenon/lite/builtin_operators.h"

namespace tenon::lite {
namespace {

constexpr float kOf8 = 1.0F / 256, kOf7 = 1.0F / 128, kOf15 = 1.0F / 32768;

constexpr LevelRule kLevelRules[] = {
    {op::ADD, LevelRule::kFree},
    {op::AVERAGE_POOL_2D, LevelRule::kSame},
    {op::BATCH_MATMUL, LevelRule::kFree},
    {op::BATCH_TO_SPACE_ND, LevelRule::kSame, false},
    {op::BROADCAST_TO, LevelRule::kSame},
    {op::CONCATENATION, LevelRule::kJoined},
    {op::CONV_2D, LevelRule::kProduct},
    {op::DEPTHWISE_CONV_2D, LevelRule::kProduct},
    {op::DEPTH_TO_SPACE, LevelRule::kSame, false},
    {op::ELU, LevelRule::kFree, false},
    {op::EXPAND_DIMS, LevelRule::kSame},
    {op::FULLY_CONNECTED, LevelRule::kProduct},
    {op::GATHER, LevelRule::kSame},
    {op::GELU, LevelRule::kFree, false},
    {op::HARD_SWISH, LevelRule::kFree, false},
    {op::L2_NORMALIZATION, LevelRule::kFixed, false, 0, {kOf7, 0}},
    {op::LEAKY_RELU, LevelRule::kFree},
    {op::LOGISTIC, LevelRule::kFixed, true, 0, {kOf8, -128}, {kOf15, 0}},
    {op::LOG_SOFTMAX, LevelRule::kFixed, false, 0, {16.0F / 256, 127}},
    {op::MAXIMUM, LevelRule::kJoined},
    {op::MAX_POOL_2D, LevelRule::kSame},
    {op::MEAN, LevelRule::kFree},
    {op::MINIMUM, LevelRule::kJoined},
    {op::MIRROR_PAD, LevelRule::kSame},
    {op::MUL, LevelRule::kFree},
    {op::PACK, LevelRule::kJoined},
    {op::PAD, LevelRule::kSame},
    {op::PRELU, LevelRule::kFree, false},
    {op::REDUCE_MAX, LevelRule::kSame},
    {op::REDUCE_MIN, LevelRule::kSame},
    {op::RELU, LevelRule::kFree},
    {op::RELU6, LevelRule::kFree},
    {op::RESHAPE, LevelRule::kSame},
    {op::RESIZE_BILINEAR, LevelRule::kSame},
    {op::RESIZE_NEAREST_NEIGHBOR, LevelRule::kSame},
    {op::RSQRT, LevelRule::kFree, false},
    {op::SLICE, LevelRule::kSame},
    {op::SOFTMAX, LevelRule::kFixed, true, 0, {kOf8, -128}, {kOf15, 0}},
    {op::SPACE_TO_BATCH_ND, LevelRule::kSame, false},
    {op::SPACE_TO_DEPTH, LevelRule::kSame, false},
    {op::SPLIT, LevelRule::kSame, true, 1},
    {op::SPLIT_V, LevelRule::kSame},
    {op::SQUARED_DIFFERENCE, LevelRule::kFree, false},
    {op::SQUEEZE, LevelRule::kSame},
    {op::STRIDED_SLICE, LevelRule::kSame},
    {op::SUB, LevelRule::kFree},
    {op::SUM, LevelRule::kFree, false},
    {op::TANH, LevelRule::kFixed, true, 0, {kOf7, 0}, {kOf15, 0}},
    {op::TILE, LevelRule::kSame, false},
    {op::TRANSPOSE, LevelRule::kSame},
    {op::TRANSPOSE_CONV, LevelRule::kProduct, true, 2},
    {op::UNPACK, LevelRule::kSame},
};

}  // namespace

const LevelRule* find_level_rule(int builtin) {
  const auto* it = std::find_if(std::begin(kLevelRules), std::end(kLevelRules),
                                [&](const LevelRule& rule) { return rule.builtin == builtin; });
  return it == std::end(kLevelRules) ? nullptr : it;
}

}  // namespace tenon::lite
