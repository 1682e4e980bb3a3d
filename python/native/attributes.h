// Attributes of ops from Python objects, by what the op's declaration says of them.
#pragma once

#include "python/native/errors.h"
#include "tenon/core/op.h"

namespace tenon::python {

// TypeError in TensorFlow's words, naming attribute and op, where `object` is of another kind.
AttrValue attr_from(const OpDef& op, const AttrDef& attr, nb::handle object);

// None, a number (rank 1), a TensorShape or a sequence of numbers and Nones.
PartialShape shape_from(nb::handle object);

nb::object shape_object(const PartialShape& shape);

// Appends bytes that are equal for equal attributes and no others.
void append_key(std::string& key, const AttrMap& attrs);
void append_key(std::string& key, const Tensor& tensor);

}  // namespace tenon::python
