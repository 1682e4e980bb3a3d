import Foundation
import TenonLite

/// What was wrong, in one sentence.
public struct ModelError: Error, CustomStringConvertible {
  public let description: String
}

/// A `.tflite` with one input and one output of floats. One thread at a time uses it.
public final class Model {
  private let interpreter: OpaquePointer

  public init(contentsOf url: URL) throws {
    guard let model = tenon_lite_model_from_file(url.path) else { throw Model.lastError() }
    defer { tenon_lite_model_free(model) }
    guard let made = tenon_lite_interpreter_new(model) else { throw Model.lastError() }
    interpreter = made
  }

  deinit { tenon_lite_interpreter_free(interpreter) }

  /// The scores of `samples`, which must be as many as the input takes.
  public func scores(_ samples: [Float]) throws -> [Float] {
    let bytes = samples.count * MemoryLayout<Float>.stride
    try check(samples.withUnsafeBytes { tenon_lite_set_input(interpreter, 0, $0.baseAddress, bytes) })
    try check(tenon_lite_invoke(interpreter))
    var output = TenonLiteTensor()
    try check(tenon_lite_output(interpreter, 0, &output))
    var scores = [Float](repeating: 0, count: output.bytes / MemoryLayout<Float>.stride)
    try check(scores.withUnsafeMutableBytes { tenon_lite_get_output(interpreter, 0, $0.baseAddress, $0.count) })
    return scores
  }

  private func check(_ status: TenonLiteStatus) throws {
    if status != TENON_LITE_OK { throw Model.lastError() }
  }

  private static func lastError() -> ModelError {
    ModelError(description: String(cString: tenon_lite_error()))
  }
}
