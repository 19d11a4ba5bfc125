#pragma once

#include <google/protobuf/io/printer.h>

#include "contract/plain_generator/names.h"

// Writes <stem>.convert.h and <stem>.convert.cc: proto <-> struct. Files must be without faults (check.h).
namespace vigil::plain_generator {

void WriteConversionsHeader(const FileDescriptor& file, google::protobuf::io::Printer* out);
void WriteConversionsSource(const FileDescriptor& file, google::protobuf::io::Printer* out);

}  // namespace vigil::plain_generator
