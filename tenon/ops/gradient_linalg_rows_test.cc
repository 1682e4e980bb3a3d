// Decompositions, solvers and Fourier transforms. What a decomposition leaves open (signs, phases)
// the sums below do not see.
#include "tenon/ops/gradient_rows_test.h"

namespace tenon::gradient_rows {
namespace {

using Function = std::function<Endpoints(GraphBuilder&, const Endpoints&)>;
using Change = std::function<Endpoint(GraphBuilder&, Endpoint)>;

Endpoint product(GraphBuilder& b, Endpoint x, Endpoint y, bool adjoint_x, bool adjoint_y) {
  return b.op("BatchMatMulV2", {x, y}, {{"adj_x", adjoint_x}, {"adj_y", adjoint_y}});
}

Tensor diagonal(int64_t n, bool rising) {
  Tensor x(DType::kDouble, {n, n});
  std::fill_n(x.mutable_data<double>(), n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    x.mutable_data<double>()[i * (n + 1)] = static_cast<double>(rising ? i + 1 : 3);
  }
  return x;
}

// The argument, far from singular.
Change regular(int64_t n) {
  return [n](GraphBuilder& b, Endpoint x) { return b.add(x, b.constant(diagonal(n, false))); };
}
// The same, with well separated eigenvalues and singular values.
Change separated(int64_t n) {
  return [n](GraphBuilder& b, Endpoint x) {
    return b.add(b.mul(x, b.scalar(0.2)), b.constant(diagonal(n, true)));
  };
}
// x x^T + 3: as a function of x, since the op reads one triangle.
Change positive(int64_t n) {
  return [n](GraphBuilder& b, Endpoint x) {
    return b.add(product(b, x, x, false, true), b.constant(diagonal(n, false)));
  };
}
Endpoint symmetric(GraphBuilder& b, Endpoint x) {
  return b.add(x, b.op("Transpose", {x, b.integers({1, 0})}));
}

// Output `output` of `op` on the changed first argument and the others.
Function on(std::string op, Change change, Attrs attrs = {}, size_t output = 0) {
  return [=](GraphBuilder& b, const Endpoints& in) {
    Endpoints inputs = in;
    inputs[0] = change(b, inputs[0]);
    return Endpoints{b.ops(op, inputs, attrs)[output]};
  };
}

// A complex argument of a real and an imaginary one, and the real and imaginary part of the result.
Function complex(Function inner) {
  return [inner](GraphBuilder& b, const Endpoints& in) {
    Endpoints inputs{b.op("Complex", {in[0], in[1]}, {{"Tout", DType::kComplex128}})};
    for (size_t i = 2; i + 1 < in.size(); i += 2) {
      inputs.push_back(b.op("Complex", {in[i], in[i + 1]}, {{"Tout", DType::kComplex128}}));
    }
    Endpoints parts;
    for (Endpoint y : inner(b, inputs)) {
      parts.push_back(b.op("Real", {y}, {{"Tout", DType::kDouble}}));
      parts.push_back(b.op("Imag", {y}, {{"Tout", DType::kDouble}}));
    }
    return parts;
  };
}

Function plain(std::string op, Attrs attrs = {}) {
  return [=](GraphBuilder& b, const Endpoints& in) { return Endpoints{b.op(op, in, attrs)}; };
}

std::vector<Row> solver_rows() {
  std::vector<Row> rows;
  const Range two = x({2, 2}), matrix = x({3, 3}), rhs = x({3, 2});
  for (bool adjoint : {false, true}) {
    const Attrs attrs{{"adjoint", adjoint}};
    rows.push_back({"MatrixInverse", {matrix}, {}, on("MatrixInverse", regular(3), attrs)});
    rows.push_back({"MatrixSolve", {matrix, rhs}, {}, on("MatrixSolve", regular(3), attrs)});
    for (bool lower : {false, true}) {
      const Attrs both{{"adjoint", adjoint}, {"lower", lower}};
      rows.push_back({"MatrixTriangularSolve",
                      {matrix, x({2, 3, 1})},
                      {},
                      on("MatrixTriangularSolve", regular(3), both)});
      rows.push_back({"BandedTriangularSolve", {x({2, 4}, 1, 2), x({2, 4, 1})}, both});
    }
  }
  for (const char* op : {"MatrixInverse", "Cholesky"}) {
    const bool cholesky = std::string(op) == "Cholesky";
    const auto change =
        cholesky ? Change([](GraphBuilder& b, Endpoint c) {
          const Endpoint three = b.cast(b.constant(diagonal(2, false)), DType::kComplex128);
          return b.add(product(b, c, c, false, true), three);
        })
                 : Change([](GraphBuilder& b, Endpoint c) {
                     return b.add(c, b.cast(b.constant(diagonal(2, false)), DType::kComplex128));
                   });
    rows.push_back({op, {two, two}, {}, complex(on(op, change))});
  }
  rows.push_back({"Cholesky", {matrix}, {}, on("Cholesky", positive(3))});
  rows.push_back({"MatrixDeterminant", {matrix}, {}, on("MatrixDeterminant", regular(3))});
  rows.push_back(
      {"LogMatrixDeterminant", {matrix}, {}, on("LogMatrixDeterminant", regular(3), {}, 1)});
  rows.push_back({"MatrixSquareRoot", {matrix}, {}, on("MatrixSquareRoot", regular(3))});
  const Tensor some = Tensor::scalar<double>(0.5);
  rows.push_back({"MatrixSolveLs", {x({4, 2}), x({4, 2}), some}});
  rows.push_back({"MatrixSolveLs", {x({2, 4}), x({2, 1}), some}});
  const Attrs pivoting{{"partial_pivoting", true}};
  rows.push_back({"TridiagonalSolve", {x({2, 3, 4}, 0.5, 1), x({2, 4, 2})}, pivoting});
  rows.push_back({"TridiagonalMatMul", {x({1, 4}), x({1, 4}), x({1, 4}), x({4, 2})}});
  rows.push_back({"Cross", {x({2, 3}), x({2, 3})}});
  return rows;
}

}  // namespace

std::vector<Row> decomposition_rows() {
  std::vector<Row> rows = solver_rows();
  const Range matrix = x({3, 3});
  for (const Shape& shape : {Shape{3, 3}, Shape{4, 2}, Shape{2, 4}}) {
    for (size_t output : {0U, 1U}) {
      rows.push_back({"Qr",
                      {x(shape)},
                      {},
                      on(
                          "Qr", [](GraphBuilder&, Endpoint e) { return e; }, {}, output)});
    }
    // u v^T does not hang on the signs.
    rows.push_back({"Svd", {x(shape)}, {}, [](GraphBuilder& b, const Endpoints& in) {
                      const Endpoints svd = b.ops("Svd", in);
                      return Endpoints{svd[0], product(b, svd[1], svd[2], false, true)};
                    }});
    rows.push_back({"Svd", {x(shape)}, {}, first("Svd", {{"compute_uv", false}})});
  }
  rows.push_back({"Svd", {x({2, 3})}, {}, [](GraphBuilder& b, const Endpoints& in) {
                    const Endpoints svd = b.ops("Svd", in, {{"full_matrices", true}});
                    return Endpoints{b.mul(svd[2], svd[2])};
                  }});
  for (bool vectors : {false, true}) {
    rows.push_back(
        {"SelfAdjointEigV2", {matrix}, {}, [=](GraphBuilder& b, const Endpoints& in) {
           const Endpoint a = separated(3)(b, symmetric(b, in[0]));
           const Endpoints eig = b.ops("SelfAdjointEigV2", {a}, {{"compute_v", vectors}});
           if (!vectors) return Endpoints{eig[0]};
           return Endpoints{eig[0], b.mul(eig[1], eig[1])};
         }});
    rows.push_back({"Eig", {matrix}, {}, [=](GraphBuilder& b, const Endpoints& in) {
                      const Endpoints eig =
                          b.ops("Eig", {separated(3)(b, in[0])},
                                {{"compute_v", vectors}, {"Tout", DType::kComplex128}});
                      const auto real = [&](Endpoint e) {
                        return b.op("Real", {e}, {{"Tout", DType::kDouble}});
                      };
                      if (!vectors) return Endpoints{real(eig[0])};
                      return Endpoints{real(eig[0]), real(b.mul(eig[1], b.op("Conj", {eig[1]})))};
                    }});
  }
  return rows;
}

std::vector<Row> fourier_rows() {
  std::vector<Row> rows;
  const auto real_transform = [](std::string op, std::initializer_list<int32_t> lengths) {
    const Tensor size = ints(lengths);
    return [op, size](GraphBuilder& b, const Endpoints& in) {
      const Endpoint y = b.op(op, {in[0], b.constant(size)}, {{"Tcomplex", DType::kComplex128}});
      return Endpoints{b.op("Real", {y}, {{"Tout", DType::kDouble}}),
                       b.op("Imag", {y}, {{"Tout", DType::kDouble}})};
    };
  };
  const auto back = [](std::string op, std::initializer_list<int32_t> lengths) {
    const Tensor size = ints(lengths);
    return [op, size](GraphBuilder& b, const Endpoints& in) {
      const Endpoint c = b.op("Complex", {in[0], in[1]}, {{"Tout", DType::kComplex128}});
      return Endpoints{b.op(op, {c, b.constant(size)}, {{"Treal", DType::kDouble}})};
    };
  };
  for (const char* inverse : {"", "I"}) {
    rows.push_back(
        {cat(inverse, "FFT"), {x({2, 5}), x({2, 5})}, {}, complex(plain(cat(inverse, "FFT")))});
    rows.push_back(
        {cat(inverse, "FFT2D"), {x({2, 3}), x({2, 3})}, {}, complex(plain(cat(inverse, "FFT2D")))});
    rows.push_back({cat(inverse, "FFT3D"),
                    {x({2, 2, 3}), x({2, 2, 3})},
                    {},
                    complex(plain(cat(inverse, "FFT3D")))});
  }
  rows.push_back({"RFFT", {x({2, 6})}, {}, real_transform("RFFT", {6})});
  rows.push_back({"RFFT", {x({2, 6})}, {}, real_transform("RFFT", {5})});
  rows.push_back({"RFFT2D", {x({3, 4})}, {}, real_transform("RFFT2D", {3, 4})});
  rows.push_back({"IRFFT", {x({2, 4}), x({2, 4})}, {}, back("IRFFT", {6})});
  rows.push_back({"IRFFT", {x({2, 4}), x({2, 4})}, {}, back("IRFFT", {5})});
  rows.push_back({"IRFFT2D", {x({3, 3}), x({3, 3})}, {}, back("IRFFT2D", {3, 4})});
  return rows;
}

}  // namespace tenon::gradient_rows
