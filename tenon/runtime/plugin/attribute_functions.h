// The functions of TenonHost that read attributes: tenon/plugin.h says what each does.
#pragma once

#include "tenon/runtime/plugin/plugin_abi.h"

namespace tenon::attribute_functions {

int attr_int(const TenonAttrs* attrs, const char* name, int64_t* value);
int attr_float(const TenonAttrs* attrs, const char* name, double* value);
int attr_bool(const TenonAttrs* attrs, const char* name, int* value);
int attr_string(const TenonAttrs* attrs, const char* name, TenonText* value);
int attr_type(const TenonAttrs* attrs, const char* name, int32_t* value);
int attr_ints(const TenonAttrs* attrs, const char* name, const int64_t** values, size_t* count);
int attr_floats(const TenonAttrs* attrs, const char* name, const float** values, size_t* count);
int attr_shape(const TenonAttrs* attrs, const char* name, TenonType* value);
int attr_tensor(const TenonAttrs* attrs, const char* name, TenonTensor* value);
int64_t attr_count(const TenonAttrs* attrs, const char* name);
int attr_string_at(const TenonAttrs* attrs, const char* name, int64_t index, TenonText* value);
int attr_type_at(const TenonAttrs* attrs, const char* name, int64_t index, int32_t* value);
int attr_bool_at(const TenonAttrs* attrs, const char* name, int64_t index, int* value);
int attr_shape_at(const TenonAttrs* attrs, const char* name, int64_t index, TenonType* value);
int attr_tensor_at(const TenonAttrs* attrs, const char* name, int64_t index, TenonTensor* value);
int attr_fused(const TenonAttrs* attrs, int64_t index, TenonFusedInstruction* value);

}  // namespace tenon::attribute_functions
