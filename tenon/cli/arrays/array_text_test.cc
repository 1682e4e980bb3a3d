// Expected texts are what str() of the same arrays gives in NumPy 2.
#include "tenon/cli/arrays/array_text.h"

#include <gtest/gtest.h>

#include "tenon/cli/arrays/expression.h"

namespace tenon::cli {
namespace {

std::string printed(std::string_view expression) {
  const StatusOr<Tensor> tensor = evaluate_expression(expression);
  EXPECT_TRUE(tensor.ok()) << expression << ": " << tensor.status();
  return tensor.ok() ? array_text(*tensor) : "";
}

TEST(ArrayText, PrintsAsNumPyDoes) {
  const std::pair<const char*, const char*> cases[] = {
      {"np.array([[0.1,0.9],[0.25,0.75]],np.float32)", "[[0.1  0.9 ]\n [0.25 0.75]]"},
      {"np.array([1,2.5,-3.125])", "[ 1.     2.5   -3.125]"},
      {"np.array([1e-7,1,1000],np.float32)", "[1.e-07 1.e+00 1.e+03]"},
      {"np.array([1e9,2.5],np.float64)", "[1.0e+09 2.5e+00]"},
      {"np.array([[1,-20],[300,4]])", "[[  1 -20]\n [300   4]]"},
      {"[True, False]", "[ True False]"},
      {"[b'a', b'it\\'s']", "[b'a' b\"it's\"]"},
      {"np.float32(0.1)", "0.1"},
      {"3", "3"},
      {"np.array(2.0)", "2.0"},
      {"[np.nan, 1.5, np.inf]", "[nan 1.5 inf]"},
      {"np.zeros((2,2,2), np.float32)", "[[[0. 0.]\n  [0. 0.]]\n\n [[0. 0.]\n  [0. 0.]]]"},
      {"np.arange(2000)", "[   0    1    2 ... 1997 1998 1999]"},
      {"np.array([], np.float32)", "[]"},
      {"np.array([[0.33333334]], np.float32)", "[[0.33333334]]"},
  };
  for (const auto& [expression, text] : cases) EXPECT_EQ(printed(expression), text) << expression;
}

TEST(ArrayText, BreaksLinesWhereNumPyDoes) {
  Tensor sevenths(DType::kFloat, Shape{30});
  for (int i = 0; i < 30; ++i) sevenths.mutable_data<float>()[i] = static_cast<float>(i) / 7;
  EXPECT_EQ(array_text(sevenths),
            "[0.         0.14285715 0.2857143  0.42857143 0.5714286  0.71428573\n"
            " 0.85714287 1.         1.1428572  1.2857143  1.4285715  1.5714285\n"
            " 1.7142857  1.8571428  2.         2.142857   2.2857144  2.4285715\n"
            " 2.5714285  2.7142856  2.857143   3.         3.142857   3.2857144\n"
            " 3.4285715  3.5714285  3.7142856  3.857143   4.         4.142857  ]");
}

TEST(ArrayText, SummarisesWhatIsLarge) {
  const std::string row = "[0. 0. 0. ... 0. 0. 0.]";
  EXPECT_EQ(printed("np.zeros((40, 40), np.float32)"),
            cat("[", row, "\n ", row, "\n ", row, "\n ...\n ", row, "\n ", row, "\n ", row, "]"));
}

TEST(ArrayText, PrintsComplexNumbers) {
  const std::complex<float> values[] = {{1, 2}, {-0.5f, -1}};
  EXPECT_EQ(array_text(Tensor::vector<std::complex<float>>(values)), "[ 1. +2.j -0.5-1.j]");
}

}  // namespace
}  // namespace tenon::cli
