#include "tenon/kernels/philox.h"

#include "tenon/core/float16.h"
#include "tenon/kernels/kernel_testing.h"

namespace tenon::kernels {
namespace {

// Random123's known-answer vectors for philox4x32-10 (kat_vectors).
TEST(Philox, GivesRandom123sAnswers) {
  const struct {
    Philox::Key key;
    Philox::Block counter, want;
  } cases[] = {
      {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0xa4093822, 0x299f31d0},
       {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& c : cases) EXPECT_EQ(Philox(c.key, c.counter).next(), c.want);
}

TEST(Philox, CounterCarriesThroughAllWords) {
  Philox generator({1, 2}, {0xffffffff, 0xffffffff, 0xffffffff, 5});
  generator.next();
  EXPECT_EQ(generator.counter(), (std::array<uint64_t, 2>{0, uint64_t{6} << 32}));
}

TEST(Philox, ManyBlocksAtOnceAreTheSequence) {
  for (uint64_t low : {uint64_t{7}, uint64_t{0xfffffff0}, ~uint64_t{20}}) {
    Philox one = Philox::from_key_counter(0x123456789abcdef0, low, 0xfedcba9876543210);
    Philox many = one;
    std::vector<Philox::Block> blocks(61);
    many.next(61, blocks.data());
    for (const Philox::Block& block : blocks) EXPECT_EQ(block, one.next());
    EXPECT_EQ(many.counter(), one.counter());
  }
}

// The rest: cases/ops, made by TensorFlow 2.21 (StatelessRandom*V2, StatelessRandomGetKeyCounter).
TEST(Philox, ScramblesStatelessSeedsAsTensorFlow) {
  const Philox a = Philox::from_stateless_seed(1, 2);
  EXPECT_EQ(a.key(), 10413732777507651514u);
  EXPECT_EQ(a.counter(), (std::array<uint64_t, 2>{0, 17830669156045600267u}));
  const Philox b = Philox::from_stateless_seed(1099511627777u, static_cast<uint64_t>(int64_t{-7}));
  EXPECT_EQ(b.key(), 7396269499926733362u);
  EXPECT_EQ(b.counter(), (std::array<uint64_t, 2>{0, 17048860715009835096u}));
}

const Philox kGenerator = Philox::from_key_counter(5, 0, 1);

template <class T>
std::vector<double> drawn(void (*fill)(Philox, int64_t, T*), Philox generator, int64_t count) {
  std::vector<T> y(static_cast<size_t>(count));
  fill(generator, count, y.data());
  return std::vector<double>(y.begin(), y.end());
}

TEST(Uniform, GivesTensorFlowsNumbers) {
  EXPECT_EQ(drawn(&fill_uniform<float>, kGenerator, 9),
            (std::vector<double>{0.38751840591430664, 0.7485455274581909, 0.548719048500061,
                                 0.9752756357192993, 0.9101390838623047, 0.6276055574417114,
                                 0.6274744272232056, 0.4989030361175537, 0.27398061752319336}));
  EXPECT_EQ(drawn(&fill_uniform<double>, kGenerator, 5),
            (std::vector<double>{0.10014755977046774, 0.3897530659572699, 0.2811135661371156,
                                 0.019795973783178322, 0.19184515395881818}));
  EXPECT_EQ(drawn(&fill_uniform<float16>, kGenerator, 4),
            (std::vector<double>{0.55078125, 0.0849609375, 0.1064453125, 0.4580078125}));
  EXPECT_EQ(drawn(&fill_uniform<bfloat16>, kGenerator, 4),
            (std::vector<double>{0.40625, 0.6796875, 0.8515625, 0.6640625}));
  const Philox seeded = Philox::from_stateless_seed(3, 4);
  EXPECT_EQ(drawn(&fill_uniform<float>, seeded, 2),
            (std::vector<double>{0.24328744411468506, 0.9835063219070435}));
}

TEST(Normal, GivesTensorFlowsNumbers) {
  expect_close(drawn(&fill_normal<float>, kGenerator, 6),
               std::vector<double>{-1.376889705657959, -0.012583157978951931, -0.169514998793602,
                                   1.0824055671691895, -0.3118337094783783, -0.3017871081829071},
               1e-6, 1e-7);
  expect_close(drawn(&fill_normal<double>, kGenerator, 3),
               std::vector<double>{1.3700151600563044, -1.6508420963385997, 0.19764305656650125},
               1e-13, 1e-14);
}

TEST(TruncatedNormal, GivesTensorFlowsNumbers) {
  expect_close(drawn(&fill_truncated_normal<float>, kGenerator, 8),
               std::vector<double>{-1.376889705657959, -0.012583157978951931, -0.169514998793602,
                                   1.0824055671691895, -0.10622817277908325, -0.1306503564119339,
                                   -0.19806014001369476, -0.7538169026374817},
               1e-6, 1e-7);
  expect_close(drawn(&fill_truncated_normal<double>, kGenerator, 4),
               std::vector<double>{1.3700151600563044, -1.6508420963385997, -0.8136816504019115,
                                   0.05003778684434004},
               1e-13, 1e-14);
}

TEST(UniformInt, GivesTensorFlowsNumbers) {
  std::vector<int32_t> y(9);
  fill_uniform_int<int32_t>(kGenerator, 9, 2, 90, y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{22, 33, 15, 23, 34, 19, 71, 8, 86}));
  std::vector<int64_t> z(9);
  fill_uniform_int<int64_t>(kGenerator, 9, 2, 90, z.data());
  EXPECT_EQ(z, (std::vector<int64_t>{14, 55, 58, 7, 78, 46, 8, 65, 31}));
  fill_uniform_int<int32_t>(Philox::from_key_counter(8, 3, 1), 9, -9, -3, y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{-5, -5, -9, -8, -4, -4, -6, -7, -6}));
}

TEST(Random, DoesNotDependOnTheTeam) {
  std::vector<float> one(20001), two(20001);
  fill_truncated_normal<float>(kGenerator, 20001, one.data());
  const ScopedTeam team(2);
  fill_truncated_normal<float>(kGenerator, 20001, two.data());
  EXPECT_TRUE(same_bits(one, two));
}

}  // namespace
}  // namespace tenon::kernels
